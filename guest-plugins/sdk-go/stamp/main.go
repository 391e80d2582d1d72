// Command stamp is header-stamp in Go: it sets one header on every request and response.
// [config]: `header` (default x-int3rceptor) and `value` (default header-stamp).
package main

import host "int3rceptor"

func setting(key, fallback string) string {
	if value, err := host.GetConfig(key); err == nil {
		return value
	}
	return fallback
}

func stamp() int32 {
	name := setting("header", "x-int3rceptor")
	if err := host.SetHeader(name, setting("value", "header-stamp")); err != nil {
		host.Log(host.LevelError, "the configured header cannot be set: "+err.Error())
		return host.HookError
	}
	return host.HookContinue
}

//go:wasmexport plugin_init
func pluginInit() int32 {
	host.Log(host.LevelInfo, "header-stamp ready")
	return host.HookContinue
}

//go:wasmexport on_request
func onRequest() int32 { return stamp() }

//go:wasmexport on_response
func onResponse() int32 { return stamp() }

func main() {}
