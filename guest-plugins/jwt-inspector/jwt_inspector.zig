//! Tags flows by the JSON Web Token that the request carries, without verifying it.
//!
//! [config]: `header` (default authorization; its value is `Bearer TOKEN` or the token).
//! Tags: jwt, jwt:alg=…, jwt:kid=…, jwt:iss=…, and jwt:expired, jwt:not-yet, jwt:current or
//! jwt:no-exp; jwt:malformed for what looks like a token and is none.

const std = @import("std");
const host = @import("int3rceptor");

pub const panic = std.debug.no_panic;

/// Of the header's value: servers take 8 KiB of all headers together.
const max_token = 8192;
/// Of a value that becomes a tag; the host takes 128 characters.
const max_shown = 96;
const max_depth = 64;

var token_room: [max_token]u8 = undefined;
var part_room: [max_token]u8 = undefined;

const Malformed = error{Malformed};

fn decode(part: []const u8) Malformed![]const u8 {
    const decoder = std.base64.url_safe_no_pad.Decoder;
    const size = decoder.calcSizeForSlice(part) catch return error.Malformed;
    if (size > part_room.len) return error.Malformed;
    decoder.decode(part_room[0..size], part) catch return error.Malformed;
    return part_room[0..size];
}

/// A reader of one JSON object: the members at its top, the rest skipped. It judges no
/// more than it needs to find where values end.
const Object = struct {
    text: []const u8,
    at: usize = 0,

    const Member = struct { name: []const u8, value: []const u8 };

    fn open(text: []const u8) Malformed!Object {
        var self = Object{ .text = text };
        try self.expect('{');
        return self;
    }

    fn next(self: *Object) Malformed!?Member {
        if (self.peek() == '}') return null;
        if (self.peek() == ',') self.at += 1;
        const name = try self.string();
        try self.expect(':');
        _ = self.peek();
        const start = self.at;
        try self.skip();
        return .{ .name = name, .value = self.text[start..self.at] };
    }

    fn peek(self: *Object) u8 {
        while (self.at < self.text.len) : (self.at += 1) {
            switch (self.text[self.at]) {
                ' ', '\t', '\n', '\r' => {},
                else => |byte| return byte,
            }
        }
        return 0;
    }

    fn expect(self: *Object, byte: u8) Malformed!void {
        if (self.peek() != byte) return error.Malformed;
        self.at += 1;
    }

    /// What stands between two quotes, escapes as they are.
    fn string(self: *Object) Malformed![]const u8 {
        try self.expect('"');
        const start = self.at;
        while (self.at < self.text.len) : (self.at += 1) {
            switch (self.text[self.at]) {
                '\\' => self.at += 1,
                '"' => {
                    self.at += 1;
                    return self.text[start .. self.at - 1];
                },
                else => {},
            }
        }
        return error.Malformed;
    }

    fn skip(self: *Object) Malformed!void {
        var depth: usize = 0;
        while (true) {
            switch (self.peek()) {
                '"' => _ = try self.string(),
                '{', '[' => {
                    depth += 1;
                    if (depth > max_depth) return error.Malformed;
                    self.at += 1;
                    continue;
                },
                '}', ']' => {
                    if (depth == 0) return error.Malformed;
                    depth -= 1;
                    self.at += 1;
                },
                ',', ':' => {
                    if (depth == 0) return error.Malformed;
                    self.at += 1;
                    continue;
                },
                0 => return error.Malformed,
                else => self.word(),
            }
            if (depth == 0) return;
        }
    }

    /// A number, true, false or null.
    fn word(self: *Object) void {
        while (self.at < self.text.len) : (self.at += 1) {
            switch (self.text[self.at]) {
                ',', '}', ']', ':', ' ', '\t', '\n', '\r', '"', '{', '[' => return,
                else => {},
            }
        }
    }
};

/// The beginning of a JSON string's text; null for other values, and for escapes of
/// characters that no name of an issuer or a key holds.
fn text_of(value: []const u8, room: []u8) ?[]const u8 {
    if (value.len < 2 or value[0] != '"') return null;
    var size: usize = 0;
    var at: usize = 1;
    while (at < value.len - 1 and size < room.len) : (at += 1) {
        if (value[at] == '\\') {
            at += 1;
            switch (value[at]) {
                '/', '\\', '"' => {},
                else => return null,
            }
        }
        room[size] = value[at];
        size += 1;
    }
    return room[0..size];
}

/// Seconds since 1970, without a fraction.
fn seconds_of(value: []const u8) ?u64 {
    var seconds: u64 = 0;
    var digits: usize = 0;
    for (value) |byte| {
        if (byte < '0' or byte > '9') break;
        seconds = seconds * 10 + (byte - '0');
        digits += 1;
        if (digits > 15) return null;
    }
    return if (digits == 0) null else seconds;
}

fn tag_value(comptime name: []const u8, value: []const u8) void {
    var room: [name.len + max_shown]u8 = undefined;
    const shown = text_of(value, room[name.len..]) orelse return;
    @memcpy(room[0..name.len], name);
    // A value with control characters, or cut inside a character, is no tag.
    host.tag(room[0 .. name.len + shown.len]) catch {};
}

fn inspect_header(part: []const u8) Malformed!void {
    var object = try Object.open(try decode(part));
    while (try object.next()) |member| {
        if (std.mem.eql(u8, member.name, "alg")) tag_value("jwt:alg=", member.value);
        if (std.mem.eql(u8, member.name, "kid")) tag_value("jwt:kid=", member.value);
    }
}

fn inspect_claims(part: []const u8) Malformed![]const u8 {
    const now = (host.nowMs() catch 0) / 1000;
    var object = try Object.open(try decode(part));
    var is_early = false;
    var state: []const u8 = "jwt:no-exp";
    while (try object.next()) |member| {
        if (std.mem.eql(u8, member.name, "iss")) tag_value("jwt:iss=", member.value);
        if (std.mem.eql(u8, member.name, "exp")) {
            const ends = seconds_of(member.value) orelse return error.Malformed;
            state = if (ends <= now) "jwt:expired" else "jwt:current";
        }
        if (std.mem.eql(u8, member.name, "nbf")) {
            const begins = seconds_of(member.value) orelse return error.Malformed;
            is_early = begins > now;
        }
    }
    return if (is_early) "jwt:not-yet" else state;
}

fn inspect(token: []const u8) Malformed!void {
    var parts = std.mem.splitScalar(u8, token, '.');
    const header = parts.next() orelse return;
    const claims = parts.next() orelse return;
    if (parts.next() == null or parts.next() != null) return; // no JWT: some other token
    host.tag("jwt") catch {};
    try inspect_header(header);
    host.tag(try inspect_claims(claims)) catch {};
}

export fn on_request() i32 {
    var names: [128]u8 = undefined;
    const name = host.getConfig("header", &names) catch "authorization";
    const value = host.getRequestHeader(name, &token_room) catch |failure| switch (failure) {
        error.NotFound => return host.CONTINUE,
        else => {
            host.log(.warn, "the token cannot be read");
            return host.CONTINUE;
        },
    };
    const scheme = "bearer ";
    const has_scheme = value.len > scheme.len and
        std.ascii.eqlIgnoreCase(value[0..scheme.len], scheme);
    const token = std.mem.trim(u8, if (has_scheme) value[scheme.len..] else value, " ");
    inspect(token) catch host.tag("jwt:malformed") catch {};
    return host.CONTINUE;
}
