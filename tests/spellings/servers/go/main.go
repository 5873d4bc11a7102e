// What Go's net/http and golang-jwt recognise.
//
// Responds to every request with one line for each reading: its name, a space, and the value in Go's quotes.
// usage: go-server PORT KEYS.json
package main

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt"
	"github.com/golang-jwt/jwt/request"
)

type keys struct {
	HS256 string `json:"hs256"`
	RS256 string `json:"rs256_public"`
	ES256 string `json:"es256_public"`
}

var (
	bearer = regexp.MustCompile(`(?i)bearer\s+(\S+)`)
	secret []byte
	rsaKey *rsa.PublicKey
	ecKey  *ecdsa.PublicKey
)

func verified(token string) string {
	parsed, err := jwt.Parse(token, func(token *jwt.Token) (interface{}, error) {
		switch token.Method.Alg() {
		case "HS256":
			return secret, nil
		case "RS256":
			return rsaKey, nil
		case "ES256":
			return ecKey, nil
		}
		return nil, fmt.Errorf("another algorithm")
	})
	if err != nil || !parsed.Valid {
		return ""
	}
	id, _ := parsed.Claims.(jwt.MapClaims)["jti"].(string)
	return id
}

func main() {
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	var k keys
	if err := json.Unmarshal(text, &k); err != nil {
		panic(err)
	}
	secret = []byte(k.HS256)
	if rsaKey, err = jwt.ParseRSAPublicKeyFromPEM([]byte(k.RS256)); err != nil {
		panic(err)
	}
	if ecKey, err = jwt.ParseECPublicKeyFromPEM([]byte(k.ES256)); err != nil {
		panic(err)
	}
	http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(serve))
}

func serve(w http.ResponseWriter, r *http.Request) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s %q\n", name, value)
		}
	}
	for _, name := range []string{"S", "T", "E", "app.sid", "JSESSIONID", "token"} {
		if cookie, err := r.Cookie(name); err == nil {
			line("cookie."+name, cookie.Value)
		}
	}
	auth := r.Header.Get("Authorization")
	words := strings.Split(auth, " ")
	if len(words) > 1 {
		line("auth.split_1", words[1])
	}
	line("auth.trim_prefix", strings.TrimSpace(strings.TrimPrefix(auth, "Bearer ")))
	if found := bearer.FindStringSubmatch(auth); found != nil {
		line("auth.regexp", found[1])
	}
	if fields := strings.Fields(auth); len(fields) > 0 {
		line("auth.last_field", fields[len(fields)-1])
		line("jwt.golang-jwt", verified(fields[len(fields)-1]))
	}
	if token, err := request.OAuth2Extractor.ExtractToken(r); err == nil {
		line("auth.oauth2_extractor", token)
		line("jwt.golang-jwt-extractor", verified(token))
	}
	if user, _, ok := r.BasicAuth(); ok {
		line("basic", user)
	}
	line("path", path.Clean(r.URL.Path))
	line("key.header", r.Header.Get("X-Api-Key"))
	line("key.query", r.URL.Query().Get("api_key"))
	line("token.query", r.URL.Query().Get("access_token"))
	line("key.form", r.FormValue("api_key"))
	line("token.form", r.FormValue("access_token"))
	line("jwt.golang-jwt-query", verified(r.FormValue("access_token")))
}
