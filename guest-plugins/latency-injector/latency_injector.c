/* Delays requests, as a slow network or a slow service would.
 *
 * [config]: `ms` (default 500), `jitter_ms` (up to so much more, default 0), `percent` (of
 * the requests, default 100), `paths` (a list of `GLOB=MS`: the first that fits the path
 * counts in place of `ms`; a path that fits none of them is delayed by `ms`). */
#include "int3rceptor.h"

#define MAX_MS 300000u /* The host grants no longer delay. */
#define MAX_PATHS 8192 /* Bytes: some two hundred globs. */
#define MAX_PATH 2048
#define BAD 0xffffffffu

static uint32_t base_ms, jitter_ms, percent;
static uint8_t paths[MAX_PATHS];
static i3_bytes path_list;

/* A decimal number without a sign, or BAD. */
static uint32_t number(i3_bytes text, uint32_t most) {
    uint32_t value = 0;
    for (uint32_t at = 0; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9' || value > most)
            return BAD;
        value = value * 10 + (text.data[at] - '0');
    }
    return text.size && value <= most ? value : BAD;
}

static uint32_t setting(const char *key, uint32_t size, uint32_t most, uint32_t fallback) {
    uint8_t room[16];
    int32_t answer = host_get_config(key, size, room, sizeof room);
    if (answer == I3_STATUS_NOT_FOUND)
        return fallback;
    return number(i3_filled(room, sizeof room, answer), most);
}

/* Whether the text fits the glob, where * is any run of characters. Each step forward is
 * taken at most once for each star's place: the time is bounded by the product of both. */
static int fits(i3_bytes glob, i3_bytes text) {
    uint32_t g = 0, t = 0, star = BAD, taken = 0;
    while (t < text.size) {
        if (g < glob.size && glob.data[g] == '*') {
            star = g++;
            taken = t;
        } else if (g < glob.size && glob.data[g] == text.data[t]) {
            g++;
            t++;
        } else if (star != BAD) {
            g = star + 1;
            t = ++taken;
        } else {
            return 0;
        }
    }
    while (g < glob.size && glob.data[g] == '*')
        g++;
    return g == glob.size;
}

/* Takes the next line `GLOB=MS` off the list; its milliseconds are BAD if it is none. */
static int next_rule(i3_bytes *list, i3_bytes *glob, uint32_t *ms) {
    if (!list->size)
        return 0;
    uint32_t end = 0, equals = BAD;
    for (; end < list->size && list->data[end] != '\n'; end++)
        if (list->data[end] == '=')
            equals = end;
    *glob = (i3_bytes){list->data, equals == BAD ? 0 : equals};
    *ms = BAD;
    if (equals != BAD)
        *ms = number((i3_bytes){list->data + equals + 1, end - equals - 1}, MAX_MS);
    uint32_t past = end < list->size ? end + 1 : end;
    list->data += past;
    list->size -= past;
    return 1;
}

static int rules_are_good(void) {
    i3_bytes list = path_list, glob;
    uint32_t ms;
    while (next_rule(&list, &glob, &ms))
        if (ms == BAD)
            return 0;
    return 1;
}

I3_HOOK(plugin_init) {
    base_ms = setting(I3("ms"), MAX_MS, 500);
    jitter_ms = setting(I3("jitter_ms"), MAX_MS, 0);
    percent = setting(I3("percent"), 100, 100);
    if (base_ms == BAD || jitter_ms == BAD || percent == BAD) {
        i3_log(I3_LOG_ERROR, "ms and jitter_ms are numbers up to 300000, percent up to 100");
        return I3_ERROR;
    }
    int32_t answer = host_get_config(I3("paths"), paths, sizeof paths);
    path_list = i3_filled(paths, sizeof paths, answer);
    if (answer > MAX_PATHS || !rules_are_good()) {
        i3_log(I3_LOG_ERROR, "paths is a list of GLOB=MS, 8 KiB at most");
        return I3_ERROR;
    }
    return I3_CONTINUE;
}

/* A number below `end`; even enough for delays. */
static uint32_t random_below(uint32_t end) {
    uint32_t drawn = 0;
    host_random(&drawn, sizeof drawn);
    return (uint32_t)(((uint64_t)drawn * end) >> 32);
}

static uint32_t wanted_ms(void) {
    if (!path_list.size)
        return base_ms;
    uint8_t room[MAX_PATH];
    i3_bytes path = i3_filled(room, sizeof room, host_get_path(room, sizeof room));
    i3_bytes list = path_list, glob;
    uint32_t ms;
    while (next_rule(&list, &glob, &ms))
        if (fits(glob, path))
            return ms;
    return base_ms;
}

I3_HOOK(on_request) {
    if (percent < 100 && random_below(100) >= percent)
        return I3_CONTINUE;
    uint32_t ms = wanted_ms();
    if (jitter_ms)
        ms += random_below(jitter_ms + 1);
    if (!ms)
        return I3_CONTINUE;
    host_delay(ms < MAX_MS ? ms : MAX_MS);
    return I3_CONTINUE;
}
