//! Sets a header on each response, and tags the flow of one that is an error.

const std = @import("std");
const host = @import("int3rceptor.zig");

pub const panic = std.debug.no_panic;

fn stamp() host.Failure!void {
    var names: [128]u8 = undefined;
    var values: [1024]u8 = undefined;
    const name = try host.getConfig("header", &names);
    const value = try host.getConfig("value", &values);
    try host.setHeader(name, value);
    if (try host.getStatus() >= 400) try host.tag("error");
}

export fn on_response() i32 {
    stamp() catch {
        host.log(.err, "the response cannot be stamped");
        return host.ERROR;
    };
    return host.CONTINUE;
}
