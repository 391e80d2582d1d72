// A proxy with the goproxy library: intercepts every CONNECT, changes nothing.
//
//	goproxy PORT FOLDER ORIGIN_CA    (FOLDER holds ca.pem and ca.key)
//	goproxy version
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/elazarl/goproxy"
)

// As many idle connections to the origin as there may be clients; Go keeps two by default.
const idleConnections = 10000

// Leaf certificates by host name. Without such a store each CONNECT would mint one.
type leaves struct{ byHost sync.Map }

func (store *leaves) Fetch(
	host string, mint func() (*tls.Certificate, error),
) (*tls.Certificate, error) {
	if leaf, found := store.byHost.Load(host); found {
		return leaf.(*tls.Certificate), nil
	}
	leaf, err := mint()
	if err == nil {
		store.byHost.Store(host, leaf)
	}
	return leaf, err
}

func serve(port, folder, originCA string) error {
	authority, err := tls.LoadX509KeyPair(
		filepath.Join(folder, "ca.pem"), filepath.Join(folder, "ca.key"))
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(originCA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", originCA)
	}
	proxy := goproxy.NewProxyHttpServer()
	proxy.CertStore = &leaves{}
	proxy.Tr = &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		MaxIdleConns:        idleConnections,
		MaxIdleConnsPerHost: idleConnections,
	}
	intercept := &goproxy.ConnectAction{
		Action:    goproxy.ConnectMitm,
		TLSConfig: goproxy.TLSConfigFromCA(&authority),
	}
	proxy.OnRequest().HandleConnectFunc(
		func(host string, _ *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
			return intercept, host
		})
	return http.ListenAndServe("127.0.0.1:"+port, proxy)
}

func version() string {
	if info, known := debug.ReadBuildInfo(); known {
		for _, module := range info.Deps {
			if module.Path == "github.com/elazarl/goproxy" {
				return module.Version + ", " + runtime.Version()
			}
		}
	}
	return "unknown"
}

func main() {
	switch len(os.Args) {
	case 2:
		fmt.Println(version())
	case 4:
		log.Fatal(serve(os.Args[1], os.Args[2], os.Args[3]))
	default:
		log.Fatal("usage: goproxy PORT FOLDER ORIGIN_CA")
	}
}
