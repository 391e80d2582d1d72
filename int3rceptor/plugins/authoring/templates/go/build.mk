GO ?= go

@MODULE@: main.go int3rceptor/int3rceptor.go go.mod
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=c-shared -ldflags="-s -w" -o $@ .
