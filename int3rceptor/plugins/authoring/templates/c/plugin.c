/* Sets a header on each response, and tags the flow of one that is an error. */
#include "int3rceptor.h"

I3_HOOK(on_response) {
    uint8_t names[128], values[1024];
    i3_bytes name = i3_filled(names, sizeof names,
                              host_get_config(I3("header"), names, sizeof names));
    i3_bytes value = i3_filled(values, sizeof values,
                               host_get_config(I3("value"), values, sizeof values));
    if (host_set_header(name.data, name.size, value.data, value.size) != I3_STATUS_OK) {
        i3_log(I3_LOG_ERROR, "the response cannot be stamped");
        return I3_ERROR;
    }
    if (host_get_status() >= 400)
        host_tag(I3("error"));
    return I3_CONTINUE;
}
