/* Answers 429 to those who ask too often: so many requests in each window of time.
 *
 * [config]: `requests` (default 60), `seconds` (default 60), `per` ("client", "host" or
 * "client+host", default "client"). Counts are in the plugin's state: a window's number is
 * part of the key, which ends with it. */
#include "int3rceptor.h"

#define MAX_REQUESTS 1000000000u
#define MAX_SECONDS 86400u
#define MAX_HOST 192 /* With an address and a window's number a key of 256 bytes. */
#define BAD 0xffffffffu

static uint32_t most, seconds;
static int by_client, by_host;

typedef struct {
    uint8_t data[256];
    uint32_t size;
} text;

static void put(text *to, const void *from, uint32_t size) {
    for (uint32_t at = 0; at < size && to->size < sizeof to->data; at++)
        to->data[to->size++] = ((const uint8_t *)from)[at];
}

static void put_number(text *to, uint64_t value) {
    uint8_t digits[20];
    uint32_t at = sizeof digits;
    do
        digits[--at] = (uint8_t)('0' + value % 10);
    while (value /= 10);
    put(to, digits + at, sizeof digits - at);
}

static uint32_t setting(const char *key, uint32_t size, uint32_t limit, uint32_t fallback) {
    uint8_t room[16];
    int32_t answer = host_get_config(key, size, room, sizeof room);
    i3_bytes value = i3_filled(room, sizeof room, answer);
    if (answer == I3_STATUS_NOT_FOUND)
        return fallback;
    uint32_t number = 0;
    for (uint32_t at = 0; at < value.size; at++) {
        if (value.data[at] < '0' || value.data[at] > '9' || number > limit / 10)
            return BAD;
        number = number * 10 + (value.data[at] - '0');
    }
    return number && number <= limit ? number : BAD;
}

static int is(i3_bytes value, const char *word, uint32_t size) {
    if (value.size != size)
        return 0;
    for (uint32_t at = 0; at < size; at++)
        if (value.data[at] != (uint8_t)word[at])
            return 0;
    return 1;
}

I3_HOOK(plugin_init) {
    uint8_t room[16];
    int32_t answer = host_get_config(I3("per"), room, sizeof room);
    i3_bytes per = i3_filled(room, sizeof room, answer);
    int both = is(per, I3("client+host"));
    by_client = both || is(per, I3("client")) || answer == I3_STATUS_NOT_FOUND;
    by_host = both || is(per, I3("host"));
    most = setting(I3("requests"), MAX_REQUESTS, 60);
    seconds = setting(I3("seconds"), MAX_SECONDS, 60);
    if (most != BAD && seconds != BAD && (by_client || by_host))
        return I3_CONTINUE;
    i3_log(I3_LOG_ERROR, "requests is a number from 1, seconds one up to 86400, and per is "
                         "client, host or client+host");
    return I3_ERROR;
}

/* The client's address without its port. */
static void put_client(text *key) {
    uint8_t room[64];
    i3_bytes client = i3_filled(room, sizeof room, host_get_client_addr(room, sizeof room));
    while (client.size && client.data[client.size - 1] != ':')
        client.size--;
    put(key, client.data, client.size);
}

static void put_host(text *key) {
    uint8_t room[MAX_HOST];
    i3_bytes host = i3_filled(room, sizeof room, host_get_host(room, sizeof room));
    put(key, host.data, host.size);
}

static int32_t refuse(uint64_t wait_s) {
    uint8_t room[128];
    i3_list fields = {room, sizeof room, 0};
    text wait = {.size = 0};
    put_number(&wait, wait_s);
    i3_push(&fields, I3("Retry-After"));
    i3_push(&fields, wait.data, wait.size);
    i3_push(&fields, I3("Content-Type"));
    i3_push(&fields, I3("text/plain; charset=utf-8"));
    i3_status done = host_respond(429, fields.data, fields.size, I3("Too many requests.\n"));
    return done == I3_STATUS_OK ? I3_RESPOND : I3_ERROR;
}

I3_HOOK(on_request) {
    uint64_t now_ms = (uint64_t)host_now_ms(), length_ms = (uint64_t)seconds * 1000;
    uint64_t left_ms = length_ms - now_ms % length_ms;
    text key = {.size = 0};
    put_number(&key, now_ms / length_ms);
    put(&key, I3(" "));
    if (by_client)
        put_client(&key);
    if (by_host)
        put_host(&key);
    int64_t count = host_kv_add(key.data, key.size, 1);
    if (count < 0) {
        i3_log(I3_LOG_ERROR, "nothing more can be counted: the plugin's state is full");
        return I3_ERROR;
    }
    if (count == 1)
        host_kv_expire(key.data, key.size, (uint32_t)left_ms);
    if (count <= (int64_t)most)
        return I3_CONTINUE;
    return refuse((left_ms + 999) / 1000);
}
