// The same as notes.c, and on responses: fetch, and stamp what came.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport env host_set_header
func hostSetHeader(name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int32

//go:wasmimport env host_get_request_header
func hostGetRequestHeader(name unsafe.Pointer, nameLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

//go:wasmimport env host_http_fetch
func hostFetch(request unsafe.Pointer, requestLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

var count int

func inFolder(name string) string {
	return filepath.Join(os.Getenv("FOLDER"), name)
}

//go:wasmexport plugin_init
func pluginInit() int32 {
	fmt.Fprintln(os.Stderr, "ready")
	return 0
}

//go:wasmexport on_request
func onRequest() int32 {
	count++
	fmt.Println("request", count, os.Getenv("MODE"))
	data, err := os.ReadFile(inFolder("in.txt"))
	if err != nil {
		fmt.Println(err)
		return -1
	}
	fmt.Println("read", strings.TrimSpace(string(data)))
	out, err := os.OpenFile(inFolder("out.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Println(err)
		return -1
	}
	fmt.Fprintln(out, "line", count)
	out.Close()
	escape := "refused"
	if _, err := os.ReadFile(os.Getenv("FOLDER") + "/../secret"); err == nil {
		escape = "made"
	}
	fmt.Println("escape", escape)
	clock := "stands"
	before := time.Now()
	time.Sleep(time.Hour)
	if time.Now().Unix() > 1_700_000_000 && time.Since(before) >= time.Hour {
		clock = "runs"
	}
	fmt.Println("clock", clock)
	return 0
}

//go:wasmexport on_response
func onResponse() int32 {
	request := list("GET", asked(), "", "accept", "text/plain")
	answer := make([]byte, 64)
	for {
		length := hostFetch(unsafe.Pointer(&request[0]), uint32(len(request)),
			unsafe.Pointer(&answer[0]), uint32(len(answer)))
		if length < 0 {
			setHeader("x-fetched", fmt.Sprint("failed ", length))
			return 0
		}
		if int(length) <= len(answer) {
			break
		}
		answer = make([]byte, length)
	}
	status, rest := item(answer)
	body, _ := item(rest)
	setHeader("x-fetched", string(status)+" "+string(body))
	return 0
}

// The URL that the client asks for, to be fetched beside its own.
func asked() string {
	const name = "x-fetch"
	buffer := make([]byte, 256)
	length := hostGetRequestHeader(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)),
		unsafe.Pointer(&buffer[0]), uint32(len(buffer)))
	return string(buffer[:max(length, 0)])
}

func list(items ...string) []byte {
	var data []byte
	for _, one := range items {
		data = binary.LittleEndian.AppendUint32(data, uint32(len(one)))
		data = append(data, one...)
	}
	return data
}

func item(data []byte) (first, rest []byte) {
	end := 4 + binary.LittleEndian.Uint32(data)
	return data[4:end], data[end:]
}

func setHeader(name, value string) {
	hostSetHeader(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)),
		unsafe.Pointer(unsafe.StringData(value)), uint32(len(value)))
}

func main() {}
