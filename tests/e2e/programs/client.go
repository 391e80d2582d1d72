// Go's net/http through a proxy, once over HTTP/1.1 and once over HTTP/2.
// Prints one JSON line per client; standard library only.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type report struct {
	Client       string `json:"client"`
	HTTP2        bool   `json:"http2"`
	Small        string `json:"small"`
	LargeSHA256  string `json:"large_sha256"`
	UploadStatus int    `json:"upload_status"`
}

func do(client *http.Client, method, path string, body io.Reader) (*http.Response, []byte) {
	request, err := http.NewRequest(method, "https://"+os.Getenv("ORIGIN")+path, body)
	if err != nil {
		log.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	return response, content
}

func main() {
	pem, err := os.ReadFile(os.Getenv("PROXY_CA"))
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatal("no certificate in PROXY_CA")
	}
	proxy := &url.URL{
		Scheme: "http",
		Host:   os.Getenv("PROXY_HOST") + ":" + os.Getenv("PROXY_PORT"),
	}
	for _, name := range []string{"h1", "h2"} {
		client := &http.Client{
			Timeout: 15 * time.Second,
			Transport: &http.Transport{
				Proxy:             http.ProxyURL(proxy),
				TLSClientConfig:   &tls.Config{RootCAs: roots},
				ForceAttemptHTTP2: name == "h2",
			},
		}
		mark := os.Getenv("MARK") + "-" + name
		response, small := do(client, "GET", "/small.txt?"+mark, nil)
		_, large := do(client, "GET", "/large.bin", nil)
		sum := sha256.Sum256(large)
		put, _ := do(client, "PUT", "/upload/"+mark, strings.NewReader(strings.Repeat("u", 200_000)))
		line, _ := json.Marshal(report{
			Client:       name,
			HTTP2:        response.ProtoMajor == 2,
			Small:        string(small),
			LargeSHA256:  hex.EncodeToString(sum[:]),
			UploadStatus: put.StatusCode,
		})
		os.Stdout.Write(append(line, '\n'))
	}
}
