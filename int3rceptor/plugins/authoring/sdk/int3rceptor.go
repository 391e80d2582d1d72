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

@codes@

// Status is why a host function did not do it.
type Status int32

func (s Status) Error() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return "status " + strconv.Itoa(int(s))
}

@imports@

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

@wrappers@

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
