//! INT3RCEPTOR's host functions for Zig, without allocation.
//! Written by int3rceptor.plugins.authoring.bindings.
//!
//!     export fn on_request() i32 {
//!         host.setHeader("x-seen", "yes") catch return host.ERROR;
//!         return host.CONTINUE;
//!     }
//!
//! Functions that read take a buffer and give back the part of it that was filled.

@codes@

/// Why a host function did not do it.
pub const Failure = error{
@failures@
    /// The buffer: ask `raw` for the length that is needed.
    TooSmall,
    /// A status code that this file does not know.
    Unknown,
};

/// The host functions as they are imported.
pub const raw = struct {
@imports@
};

fn wide(answer: i64) Failure!u64 {
    return switch (answer) {
@statuses@
        else => if (answer < 0) Failure.Unknown else @intCast(answer),
    };
}

fn number(answer: i32) Failure!u32 {
    return @intCast(try wide(answer));
}

fn filled(buffer: []u8, answer: i32) Failure![]u8 {
    const length = try number(answer);
    return if (length > buffer.len) Failure.TooSmall else buffer[0..length];
}

fn done(answer: i32) Failure!void {
    _ = try number(answer);
}

@wrappers@

/// A list in the ABI's form, built in `buffer`: headers are name, value, name, value.
pub const List = struct {
    buffer: []u8,
    length: usize = 0,

    pub fn push(self: *List, item: []const u8) Failure!void {
        const room = self.buffer[self.length..];
        if (room.len < 4 or room.len - 4 < item.len) return Failure.TooSmall;
        inline for (0..4) |at| room[at] = @truncate(item.len >> (8 * at));
        @memcpy(room[4..][0..item.len], item);
        self.length += 4 + item.len;
    }

    pub fn bytes(self: *const List) []const u8 {
        return self.buffer[0..self.length];
    }
};

/// The items of a list that a host function gave.
pub const Items = struct {
    list: []const u8,

    pub fn next(self: *Items) ?[]const u8 {
        if (self.list.len < 4) return null;
        var length: usize = 0;
        inline for (0..4) |at| length |= @as(usize, self.list[at]) << (8 * at);
        if (self.list.len - 4 < length) return null;
        defer self.list = self.list[4 + length ..];
        return self.list[4..][0..length];
    }
};
