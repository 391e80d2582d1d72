// Package int3rceptor has INT3RCEPTOR's host functions for Go (1.24 or newer), built with
// GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared.
// Written by int3rceptor.plugins.authoring.bindings.
//
//	//go:wasmexport on_request
//	func onRequest() int32 {
//		if host.SetHeader("x-seen", "yes") != nil {
//			return host.HookError
//		}
//		return host.HookContinue
//	}
//
// Strings carry bytes as they are: nothing is checked or converted on the way.
package int3rceptor

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// What a hook returns.
const (
	HookContinue int32 = 0
	HookRespond  int32 = 1
	HookDrop     int32 = 2
	HookError    int32 = -1
)

// Level is a level of Log.
type Level int32

// The levels of Log.
const (
	LevelDebug Level = 0
	LevelInfo  Level = 1
	LevelWarn  Level = 2
	LevelError Level = 3
)

// Why a host function did not do it.
const (
	NotFound     Status = -1
	BadPointer   Status = -2
	BadArgument  Status = -3
	WrongHook    Status = -4
	NoPermission Status = -5
	Protected    Status = -6
	TooLarge     Status = -7
	TooDeep      Status = -8
	Unreachable  Status = -9
)

var statusNames = map[Status]string{
	NotFound:     "not found",
	BadPointer:   "bad pointer",
	BadArgument:  "bad argument",
	WrongHook:    "wrong hook",
	NoPermission: "no permission",
	Protected:    "protected",
	TooLarge:     "too large",
	TooDeep:      "too deep",
	Unreachable:  "unreachable",
}

// Status is why a host function did not do it.
type Status int32

func (s Status) Error() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return "status " + strconv.Itoa(int(s))
}

//go:wasmimport env host_log
func hostLog(level int32, text string) int32

//go:wasmimport env host_get_memory_size
func hostGetMemorySize() int32

//go:wasmimport env host_abort
func hostAbort(text string) int32

//go:wasmimport env host_get_header
func hostGetHeader(name string, valPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_set_header
func hostSetHeader(name string, val string) int32

//go:wasmimport env host_get_method
func hostGetMethod(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_url
func hostGetUrl(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_scheme
func hostGetScheme(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_host
func hostGetHost(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_port
func hostGetPort() int32

//go:wasmimport env host_get_path
func hostGetPath(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_version
func hostGetVersion(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_client_addr
func hostGetClientAddr(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_sni
func hostGetSni(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_connect_host
func hostGetConnectHost(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_rule
func hostGetRule(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_request_header
func hostGetRequestHeader(name string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_header_values
func hostGetHeaderValues(name string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_list_headers
func hostListHeaders(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_list_request_headers
func hostListRequestHeaders(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_status
func hostGetStatus() int32

//go:wasmimport env host_get_body
func hostGetBody(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_trailer
func hostGetTrailer(name string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_list_trailers
func hostListTrailers(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_fact
func hostGetFact(name string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_add_header
func hostAddHeader(name string, val string) int32

//go:wasmimport env host_remove_header
func hostRemoveHeader(name string) int32

//go:wasmimport env host_set_method
func hostSetMethod(val string) int32

//go:wasmimport env host_set_path
func hostSetPath(val string) int32

//go:wasmimport env host_set_status
func hostSetStatus(status int32) int32

//go:wasmimport env host_set_body
func hostSetBody(val string) int32

//go:wasmimport env host_set_request_header
func hostSetRequestHeader(name string, val string) int32

//go:wasmimport env host_add_request_header
func hostAddRequestHeader(name string, val string) int32

//go:wasmimport env host_remove_request_header
func hostRemoveRequestHeader(name string) int32

//go:wasmimport env host_get_request_body
func hostGetRequestBody(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_set_request_body
func hostSetRequestBody(val string) int32

//go:wasmimport env host_set_trailer
func hostSetTrailer(name string, val string) int32

//go:wasmimport env host_add_trailer
func hostAddTrailer(name string, val string) int32

//go:wasmimport env host_remove_trailer
func hostRemoveTrailer(name string) int32

//go:wasmimport env host_list_request_trailers
func hostListRequestTrailers(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_set_request_trailer
func hostSetRequestTrailer(name string, val string) int32

//go:wasmimport env host_add_request_trailer
func hostAddRequestTrailer(name string, val string) int32

//go:wasmimport env host_remove_request_trailer
func hostRemoveRequestTrailer(name string) int32

//go:wasmimport env host_respond
func hostRespond(status int32, headers string, body string) int32

//go:wasmimport env host_drop
func hostDrop() int32

//go:wasmimport env host_delay
func hostDelay(ms int32) int32

//go:wasmimport env host_get_config
func hostGetConfig(key string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_now_ms
func hostNowMs() int64

//go:wasmimport env host_random
func hostRandom(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_chunk
func hostGetChunk(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_set_chunk
func hostSetChunk(val string) int32

//go:wasmimport env host_is_last_chunk
func hostIsLastChunk() int32

//go:wasmimport env host_get_event_field
func hostGetEventField(name string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_set_event_field
func hostSetEventField(name string, val string) int32

//go:wasmimport env host_decode_body
func hostDecodeBody() int32

//go:wasmimport env host_set_url
func hostSetUrl(url string) int32

//go:wasmimport env host_set_upstream
func hostSetUpstream(host string, port int32) int32

//go:wasmimport env host_pass_through
func hostPassThrough() int32

//go:wasmimport env host_list_tags
func hostListTags(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_tag
func hostTag(val string) int32

//go:wasmimport env host_remove_tag
func hostRemoveTag(val string) int32

//go:wasmimport env host_kv_get
func hostKvGet(key string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_kv_set
func hostKvSet(key string, val string) int32

//go:wasmimport env host_kv_add
func hostKvAdd(key string, delta int32) int64

//go:wasmimport env host_kv_expire
func hostKvExpire(key string, ms int32) int32

//go:wasmimport env host_kv_delete
func hostKvDelete(key string) int32

//go:wasmimport env host_kv_list
func hostKvList(prefix string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_context_get
func hostContextGet(key string, bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_context_set
func hostContextSet(key string, val string) int32

//go:wasmimport env host_subscribe
func hostSubscribe(topic string) int32

//go:wasmimport env host_publish
func hostPublish(topic string, val string) int32

//go:wasmimport env host_get_topic
func hostGetTopic(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_message
func hostGetMessage(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_get_sender
func hostGetSender(bufPtr unsafe.Pointer, size uint32) int32

//go:wasmimport env host_http_fetch
func hostHttpFetch(request string, bufPtr unsafe.Pointer, size uint32) int32

// fill asks again with a larger buffer when the first was too small.
func fill(ask func(at unsafe.Pointer, size uint32) int32) (string, error) {
	buffer := make([]byte, 256)
	for {
		answer := ask(unsafe.Pointer(unsafe.SliceData(buffer)), uint32(len(buffer)))
		if answer < 0 {
			return "", Status(answer)
		}
		if int(answer) <= len(buffer) {
			return string(buffer[:answer]), nil
		}
		buffer = make([]byte, answer)
	}
}

func number(answer int32) (int, error) {
	if answer < 0 {
		return 0, Status(answer)
	}
	return int(answer), nil
}

func flag(answer int32) (bool, error) {
	one, err := number(answer)
	return one != 0, err
}

func wide(answer int64) (int64, error) {
	if answer < 0 {
		return 0, Status(answer)
	}
	return answer, nil
}

func done(answer int32) error {
	_, err := number(answer)
	return err
}

// Log writes one UTF-8 log line; a level outside 0 to 3 counts as INFO.
// In: every hook, and plugin_init.
func Log(level Level, text string) {
	hostLog(int32(level), text)
}

// GetMemorySize tells the size of the module's memory.
// Answers: pages of 64 KiB.
// In: every hook, and plugin_init.
func GetMemorySize() (int, error) {
	return number(hostGetMemorySize())
}

// Abort writes an ABORT line to the log; it stops nothing.
// In: every hook, and plugin_init.
func Abort(text string) {
	hostAbort(text)
}

// GetHeader reads the first value of a header of the hook's message.
// Answers: the value.
// Errors: NOT_FOUND.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetHeader(name string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetHeader(name, at, size)
	})
}

// SetHeader sets a header: replaces the first of this name and drops the others.
// Errors: NOT_FOUND.
// In: on_request, on_rule_match, on_response, on_capture.
func SetHeader(name string, val string) error {
	return done(hostSetHeader(name, val))
}

// GetMethod reads the request's method.
// Answers: the value.
// Errors: NOT_FOUND.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetMethod() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetMethod(at, size)
	})
}

// GetUrl reads the request's URL.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetUrl() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetUrl(at, size)
	})
}

// GetScheme reads http or https.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetScheme() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetScheme(at, size)
	})
}

// GetHost reads the host that the request goes to.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetHost() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetHost(at, size)
	})
}

// GetPort tells the port that the request goes to.
// Answers: the port.
// Errors: WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetPort() (int, error) {
	return number(hostGetPort())
}

// GetPath reads path and query, byte for byte as received.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetPath() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetPath(at, size)
	})
}

// GetVersion reads the HTTP version of the hook's message.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetVersion() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetVersion(at, size)
	})
}

// GetClientAddr reads the client's ADDRESS:PORT.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetClientAddr() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetClientAddr(at, size)
	})
}

// GetSni reads the server name of the client's TLS hello.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetSni() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetSni(at, size)
	})
}

// GetConnectHost reads the host that CONNECT named.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetConnectHost() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetConnectHost(at, size)
	})
}

// GetRule reads the name of the rule that matched.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetRule() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetRule(at, size)
	})
}

// GetRequestHeader reads the first value of a header of the request, in any hook.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetRequestHeader(name string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetRequestHeader(name, at, size)
	})
}

// GetHeaderValues reads every value of a header of the hook's message.
// Answers: a list.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetHeaderValues(name string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetHeaderValues(name, at, size)
	})
}

// ListHeaders reads all headers of the hook's message: name, value, name, value.
// Answers: a list.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func ListHeaders() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostListHeaders(at, size)
	})
}

// ListRequestHeaders reads all headers of the request, in any hook.
// Answers: a list.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func ListRequestHeaders() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostListRequestHeaders(at, size)
	})
}

// GetStatus tells the response's status.
// Answers: the status.
// Errors: NOT_FOUND, WRONG_HOOK, NO_PERMISSION.
// In: on_response, on_capture, on_response_chunk, on_sse_event, on_websocket_message.
func GetStatus() (int, error) {
	return number(hostGetStatus())
}

// GetBody reads the whole body of the hook's message, as it is on the wire.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func GetBody() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetBody(at, size)
	})
}

// GetTrailer reads the first value of a trailer.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk.
func GetTrailer(name string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetTrailer(name, at, size)
	})
}

// ListTrailers reads all trailers: name, value, name, value.
// Answers: a list.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk.
func ListTrailers() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostListTrailers(at, size)
	})
}

// GetFact reads a fact by its name, as text; BAD_ARGUMENT: there is no such fact.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetFact(name string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetFact(name, at, size)
	})
}

// AddHeader appends a header, keeping those of the same name.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_rule_match, on_response, on_capture.
func AddHeader(name string, val string) error {
	return done(hostAddHeader(name, val))
}

// RemoveHeader drops every header of this name.
// Answers: the number dropped.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_rule_match, on_response, on_capture.
func RemoveHeader(name string) (int, error) {
	return number(hostRemoveHeader(name))
}

// SetMethod sets the method; never from or to CONNECT or HEAD.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_request, on_rule_match.
func SetMethod(val string) error {
	return done(hostSetMethod(val))
}

// SetPath sets path and query; begins with /.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_request, on_rule_match, on_capture.
func SetPath(val string) error {
	return done(hostSetPath(val))
}

// SetStatus sets the status (200 to 599); never from or to one that has no body.
// Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_response.
func SetStatus(status int) error {
	return done(hostSetStatus(int32(status)))
}

// SetBody replaces the body of the hook's message.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func SetBody(val string) error {
	return done(hostSetBody(val))
}

// SetRequestHeader sets a header of the request: replaces the first of this name and drops the others.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_rule_match, on_capture.
func SetRequestHeader(name string, val string) error {
	return done(hostSetRequestHeader(name, val))
}

// AddRequestHeader appends a header of the request, keeping those of the same name.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_rule_match, on_capture.
func AddRequestHeader(name string, val string) error {
	return done(hostAddRequestHeader(name, val))
}

// RemoveRequestHeader drops every header of the request of this name.
// Answers: the number dropped.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_rule_match, on_capture.
func RemoveRequestHeader(name string) (int, error) {
	return number(hostRemoveRequestHeader(name))
}

// GetRequestBody reads the whole body of the request, as it is on the wire.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func GetRequestBody() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetRequestBody(at, size)
	})
}

// SetRequestBody replaces the body of the request.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_capture.
func SetRequestBody(val string) error {
	return done(hostSetRequestBody(val))
}

// SetTrailer sets a trailer of the hook's message: replaces the first of this name and drops the others.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func SetTrailer(name string, val string) error {
	return done(hostSetTrailer(name, val))
}

// AddTrailer appends a trailer of the hook's message, keeping those of the same name.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func AddTrailer(name string, val string) error {
	return done(hostAddTrailer(name, val))
}

// RemoveTrailer drops every trailer of the hook's message of this name.
// Answers: the number dropped.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func RemoveTrailer(name string) (int, error) {
	return number(hostRemoveTrailer(name))
}

// ListRequestTrailers reads all trailers of the request.
// Answers: a list.
// Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response, on_capture.
func ListRequestTrailers() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostListRequestTrailers(at, size)
	})
}

// SetRequestTrailer sets a trailer of the request: replaces the first of this name and drops the others.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_capture.
func SetRequestTrailer(name string, val string) error {
	return done(hostSetRequestTrailer(name, val))
}

// AddRequestTrailer appends a trailer of the request, keeping those of the same name.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_capture.
func AddRequestTrailer(name string, val string) error {
	return done(hostAddRequestTrailer(name, val))
}

// RemoveRequestTrailer drops every trailer of the request of this name.
// Answers: the number dropped.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_capture.
func RemoveRequestTrailer(name string) (int, error) {
	return number(hostRemoveRequestTrailer(name))
}

// Respond answers the client (200 to 599); headers are a list: name, value, ….
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_connect, on_request, on_rule_match, on_response.
func Respond(status int, headers string, body string) error {
	return done(hostRespond(int32(status), headers, body))
}

// Drop closes without an answer; in on_capture: does not keep the flow; of an event or a message: lets it go no further.
// Errors: WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func Drop() error {
	return done(hostDrop())
}

// Delay waits after the hook, 5 minutes at most, then goes on.
// Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_rule_match, on_response.
func Delay(ms int) error {
	return done(hostDelay(int32(ms)))
}

// GetConfig reads a key of the plugin's configuration; an empty key: all as JSON.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER.
// In: every hook, and plugin_init.
func GetConfig(key string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetConfig(key, at, size)
	})
}

// NowMs tells the time.
// Answers: milliseconds since 1970-01-01 UTC.
// Errors: NO_PERMISSION.
// In: every hook, and plugin_init.
func NowMs() (int64, error) {
	return wide(hostNowMs())
}

// Random fills the buffer with random bytes.
// Errors: BAD_POINTER, NO_PERMISSION.
// In: every hook, and plugin_init.
func Random(buffer []byte) error {
	return done(hostRandom(unsafe.Pointer(unsafe.SliceData(buffer)), uint32(len(buffer))))
}

// GetChunk reads the chunk, 16 KiB at most; or the event's data, or the message.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func GetChunk() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetChunk(at, size)
	})
}

// SetChunk sets what goes on in the place of the chunk, the event's data or the message, 1 MiB at most; may be empty.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func SetChunk(val string) error {
	return done(hostSetChunk(val))
}

// IsLastChunk tells whether this is the end of the body: an empty chunk after the others.
// Answers: 1 or 0.
// Errors: WRONG_HOOK, NO_PERMISSION.
// In: on_request_chunk, on_response_chunk.
func IsLastChunk() (bool, error) {
	return flag(hostIsLastChunk())
}

// GetEventField reads the event's `event` (its type), `id` or `retry`.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_sse_event.
func GetEventField(name string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetEventField(name, at, size)
	})
}

// SetEventField sets the event's `event`, `id` or `retry`.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_sse_event.
func SetEventField(name string, val string) error {
	return done(hostSetEventField(name, val))
}

// DecodeBody takes the content codings off the hook's message, now and further on.
// Answers: the number taken off; 0: it has none.
// Errors: NOT_FOUND, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
// In: on_request, on_response.
func DecodeBody() (int, error) {
	return number(hostDecodeBody())
}

// SetUrl sends the request to this http or https URL; Host follows.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_request, on_rule_match.
func SetUrl(url string) error {
	return done(hostSetUrl(url))
}

// SetUpstream dials this host and port in place of the origin, whose names stay.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
// In: on_connect.
func SetUpstream(host string, port int) error {
	return done(hostSetUpstream(host, int32(port)))
}

// PassThrough relays this connection unread.
// Errors: WRONG_HOOK, NO_PERMISSION.
// In: on_connect.
func PassThrough() error {
	return done(hostPassThrough())
}

// ListTags reads the flow's tags.
// Answers: a list.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func ListTags() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostListTags(at, size)
	})
}

// Tag adds a UTF-8 tag to the flow.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func Tag(val string) error {
	return done(hostTag(val))
}

// RemoveTag takes away a tag that this plugin added.
// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func RemoveTag(val string) error {
	return done(hostRemoveTag(val))
}

// KvGet reads a key of the plugin's state.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func KvGet(key string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostKvGet(key, at, size)
	})
}

// KvSet keeps a value under a key, without an end.
// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func KvSet(key string, val string) error {
	return done(hostKvSet(key, val))
}

// KvAdd adds to a number, which begins at 0 and never falls below it.
// Answers: the number.
// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func KvAdd(key string, delta int) (int64, error) {
	return wide(hostKvAdd(key, int32(delta)))
}

// KvExpire lets a key end that long from now.
// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func KvExpire(key string, ms int) error {
	return done(hostKvExpire(key, int32(ms)))
}

// KvDelete forgets a key.
// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func KvDelete(key string) error {
	return done(hostKvDelete(key))
}

// KvList reads the keys that begin with a prefix, in order.
// Answers: a list.
// Errors: BAD_POINTER, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func KvList(prefix string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostKvList(prefix, at, size)
	})
}

// ContextGet reads what a plugin left on this flow under a key.
// Answers: the value.
// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func ContextGet(key string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostContextGet(key, at, size)
	})
}

// ContextSet leaves a value on this flow, for later hooks and plugins.
// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
func ContextSet(key string, val string) error {
	return done(hostContextSet(key, val))
}

// Subscribe listens to a topic: its messages come to on_message.
// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, NO_PERMISSION.
// In: every hook, and plugin_init.
func Subscribe(topic string) error {
	return done(hostSubscribe(topic))
}

// Publish sends a message to the plugins that listen, after this call.
// Answers: the number of plugins that will get it.
// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, TOO_DEEP, NO_PERMISSION.
// In: every hook, and plugin_init.
func Publish(topic string, val string) (int, error) {
	return number(hostPublish(topic, val))
}

// GetTopic reads the topic of the message.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_message.
func GetTopic() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetTopic(at, size)
	})
}

// GetMessage reads the message.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_message.
func GetMessage() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetMessage(at, size)
	})
}

// GetSender reads the name of the plugin that sent the message.
// Answers: the value.
// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
// In: on_message.
func GetSender() (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostGetSender(at, size)
	})
}

// HttpFetch sends an HTTP request and waits for the answer; both are lists: method, URL, body, then header name, value, …; status, body, then header name, value, ….
// Answers: a list.
// Errors: BAD_POINTER, BAD_ARGUMENT, PROTECTED, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
// In: every hook, and plugin_init.
func HttpFetch(request string) (string, error) {
	return fill(func(at unsafe.Pointer, size uint32) int32 {
		return hostHttpFetch(request, at, size)
	})
}

// List is a list in the ABI's form: headers are name, value, name, value.
func List(items ...string) string {
	var made []byte
	for _, item := range items {
		made = binary.LittleEndian.AppendUint32(made, uint32(len(item)))
		made = append(made, item...)
	}
	return string(made)
}

// Items are the items of a list that a host function gave.
func Items(list string) []string {
	var found []string
	for len(list) >= 4 {
		size := int(binary.LittleEndian.Uint32([]byte(list[:4])))
		if size > len(list)-4 {
			break
		}
		found = append(found, list[4:4+size])
		list = list[4+size:]
	}
	return found
}
