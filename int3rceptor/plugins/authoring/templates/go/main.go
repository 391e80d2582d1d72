// Sets a header on each response, and tags the flow of one that is an error.
package main

import host "guest/int3rceptor"

func stamp() error {
	name, err := host.GetConfig("header")
	if err != nil {
		return err
	}
	value, err := host.GetConfig("value")
	if err != nil {
		return err
	}
	if err := host.SetHeader(name, value); err != nil {
		return err
	}
	if status, err := host.GetStatus(); err == nil && status >= 400 {
		return host.Tag("error")
	}
	return nil
}

//go:wasmexport on_response
func onResponse() int32 {
	if err := stamp(); err != nil {
		host.Log(host.LevelError, "the response cannot be stamped: "+err.Error())
		return host.HookError
	}
	return host.HookContinue
}

func main() {}
