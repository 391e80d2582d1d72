//! header-stamp in Zig: sets one header on every request and response.
//! [config]: `header` (default x-int3rceptor) and `value` (default header-stamp).

const std = @import("std");
const host = @import("int3rceptor.zig");

pub const panic = std.debug.no_panic;

fn stamp() i32 {
    var names: [128]u8 = undefined;
    var values: [512]u8 = undefined;
    const name = host.getConfig("header", &names) catch "x-int3rceptor";
    const value = host.getConfig("value", &values) catch "header-stamp";
    host.setHeader(name, value) catch {
        host.log(.err, "the configured header cannot be set");
        return host.ERROR;
    };
    return host.CONTINUE;
}

export fn plugin_init() i32 {
    host.log(.info, "header-stamp ready");
    return host.CONTINUE;
}

export fn on_request() i32 {
    return stamp();
}

export fn on_response() i32 {
    return stamp();
}
