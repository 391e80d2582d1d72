/* INT3RCEPTOR's plugin ABI for C. Written by int3rceptor.plugins.authoring.bindings.
 *
 * A hook is a function without parameters that returns one of the I3_ codes:
 *
 *     I3_HOOK(on_request) { host_set_header(I3("x-seen"), I3("yes")); return I3_CONTINUE; }
 *
 * Functions that fill a buffer return the length of the value. More than the buffer's
 * size means that nothing was written: ask again with a buffer of that size. Of these and
 * of functions that answer a number, one below 0 is an i3_status. */
#ifndef INT3RCEPTOR_H
#define INT3RCEPTOR_H

#include <stddef.h>
#include <stdint.h>

/* Defines one exported hook, or plugin_init. */
#define I3_HOOK(name) __attribute__((export_name(#name))) int32_t name(void)

/* A text literal as the two arguments, address and length, that the functions take. */
#define I3(text) (text), (sizeof(text) - 1)

@codes@

#define I3_IMPORT(name) __attribute__((import_module("env"), import_name(#name))) extern

@imports@

/* Bytes somewhere: a value that was read, an item of a list. */
typedef struct {
    const uint8_t *data;
    uint32_t size;
} i3_bytes;

/* What a function that fills `buffer` answered, as the bytes that it wrote; size 0 when
 * it failed or the buffer was too small. */
static inline i3_bytes i3_filled(const void *buffer, uint32_t room, int32_t answer) {
    i3_bytes value = {buffer, answer > 0 && (uint32_t)answer <= room ? (uint32_t)answer : 0};
    return value;
}

/* Log a literal. */
#define i3_log(level, text) ((void)host_log((level), I3(text)))

/* A list in the ABI's form, built in memory that the caller brings. */
typedef struct {
    uint8_t *data;
    uint32_t room;
    uint32_t size;
} i3_list;

/* Append an item; 0, and nothing appended, when there is no room for it. */
static inline int i3_push(i3_list *list, const void *item, uint32_t size) {
    uint32_t left = list->room - list->size;
    if (left < 4 || left - 4 < size)
        return 0;
    uint8_t *to = list->data + list->size;
    for (int byte = 0; byte < 4; byte++)
        to[byte] = (uint8_t)(size >> (8 * byte));
    for (uint32_t at = 0; at < size; at++)
        to[4 + at] = ((const uint8_t *)item)[at];
    list->size += 4 + size;
    return 1;
}

/* Take the next item off the front of a list; 0 at its end. */
static inline int i3_next(i3_bytes *list, i3_bytes *item) {
    if (list->size < 4)
        return 0;
    const uint8_t *from = list->data;
    uint32_t size = from[0] | from[1] << 8 | from[2] << 16 | (uint32_t)from[3] << 24;
    if (list->size - 4 < size)
        return 0;
    item->data = from + 4;
    item->size = size;
    list->data += 4 + size;
    list->size -= 4 + size;
    return 1;
}

#endif
