"""Host functions about bodies on their way: chunks, and decoding."""

from int3rceptor.plugins.abi_rows import (
    ARG,
    BODY_HOOKS,
    BUF,
    CHUNK_HOOKS,
    EDIT_BODY,
    HOOK,
    KEPT,
    LARGE,
    LENGTH,
    NONE,
    PTR,
    READ_BODY,
    row,
)

STREAMING = (
    row(
        "host_get_chunk",
        BUF,
        READ_BODY,
        CHUNK_HOOKS,
        "reads the chunk, 16 KiB at most",
        LENGTH,
        *(PTR, HOOK),
    ),
    row(
        "host_set_chunk",
        "val_ptr val_len",
        EDIT_BODY,
        CHUNK_HOOKS,
        "sets what goes on in the chunk's place, 1 MiB at most; may be empty",
        "OK",
        *(PTR, HOOK, LARGE),
    ),
    row(
        "host_is_last_chunk",
        "",
        READ_BODY,
        CHUNK_HOOKS,
        "tells whether this is the end of the body: an empty chunk after the others",
        "1 or 0",
        HOOK,
    ),
    row(
        "host_decode_body",
        "",
        EDIT_BODY,
        BODY_HOOKS,
        "takes the content codings off the hook's message, now and further on",
        "the number taken off; 0: it has none",
        *(NONE, ARG, HOOK, KEPT, LARGE),
        streams=True,
    ),
)
