/* header-stamp in C: sets one header on every request and response.
 * [config]: `header` (default x-int3rceptor) and `value` (default header-stamp). */
#include "int3rceptor.h"

static i3_bytes setting(const char *key, uint32_t size, void *room, uint32_t most) {
    return i3_filled(room, most, host_get_config(key, size, room, most));
}

static int32_t stamp(void) {
    uint8_t names[128], values[512];
    i3_bytes name = setting(I3("header"), names, sizeof names);
    i3_bytes value = setting(I3("value"), values, sizeof values);
    if (!name.size)
        name = (i3_bytes){(const uint8_t *)I3("x-int3rceptor")};
    if (!value.size)
        value = (i3_bytes){(const uint8_t *)I3("header-stamp")};
    if (host_set_header(name.data, name.size, value.data, value.size) == I3_STATUS_OK)
        return I3_CONTINUE;
    i3_log(I3_LOG_ERROR, "the configured header cannot be set");
    return I3_ERROR;
}

I3_HOOK(plugin_init) {
    i3_log(I3_LOG_INFO, "header-stamp ready");
    return I3_CONTINUE;
}

I3_HOOK(on_request) { return stamp(); }

I3_HOOK(on_response) { return stamp(); }
