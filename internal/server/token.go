package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/mlflow"
)

const (
	openPath  = "/open"
	linkLives = 2 * time.Minute
)

// doorkeeper lets in who has the token of a server's lock file, and browsers that came by a one-time link. Everybody on
// the host can reach a loopback address; only the folder's owner can read the lock.
type doorkeeper struct {
	token  string
	cookie string // its name; cookies do not distinguish ports, so the name does

	mu       sync.Mutex
	links    map[[32]byte]time.Time // hash of a link's key: when it ends
	sessions map[[32]byte]bool      // hash of a browser's cookie
}

func newDoorkeeper(port int) *doorkeeper {
	return &doorkeeper{
		token:    newSecret(),
		cookie:   fmt.Sprintf("weir_%d", port),
		links:    map[[32]byte]time.Time{},
		sessions: map[[32]byte]bool{},
	}
}

func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// wrap puts the door before inside; what anybody may ask goes to public.
func (d *doorkeeper) wrap(public, inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/health" || r.URL.Path == "/ready" || r.URL.Path == "/version":
			public.ServeHTTP(w, r)
		case r.URL.Path == openPath:
			d.open(w, r)
		case !d.admits(r):
			d.refuse(w, r)
		default:
			inside.ServeHTTP(w, r)
		}
	})
}

func (d *doorkeeper) admits(r *http.Request) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return subtle.ConstantTimeCompare([]byte(token), []byte(d.token)) == 1
	}
	cookie, err := r.Cookie(d.cookie)
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[sha256.Sum256([]byte(cookie.Value))]
}

func (d *doorkeeper) refuse(w http.ResponseWriter, r *http.Request) {
	const how = "this server belongs to a folder and lets in who can read the folder's lock: open its page with `weir ui FOLDER` " +
		"or mlflow_ui(), and let programs use the folder as their tracking URI"
	w.Header().Set("WWW-Authenticate", "Bearer")
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, "Not signed in: "+how+".", http.StatusUnauthorized)
		return
	}
	api.WriteError(w, r, mlflow.Errorf(mlflow.CodeUnauthenticated, "%s", how))
}

// newLink makes the path of a link that lets one browser in, once.
func (d *doorkeeper) newLink() string {
	key := newSecret()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for hash, end := range d.links {
		if now.After(end) {
			delete(d.links, hash)
		}
	}
	d.links[sha256.Sum256([]byte(key))] = now.Add(linkLives)
	return openPath + "?key=" + key
}

// open answers a one-time link: the browser gets a cookie in exchange for the key.
func (d *doorkeeper) open(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if !d.useLink(r.URL.Query().Get("key")) {
		if d.admits(r) { // the same browser again, by its back button say
			http.Redirect(w, r, "./", http.StatusSeeOther)
			return
		}
		http.Error(w, "This link was used already or is older than two minutes; run `weir ui FOLDER` or mlflow_ui() again.", http.StatusForbidden)
		return
	}
	session := newSecret()
	d.mu.Lock()
	d.sessions[sha256.Sum256([]byte(session))] = true
	d.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: d.cookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "./", http.StatusSeeOther)
}

func (d *doorkeeper) useLink(key string) bool {
	hash := sha256.Sum256([]byte(key))
	d.mu.Lock()
	defer d.mu.Unlock()
	end, ok := d.links[hash]
	delete(d.links, hash)
	return ok && time.Now().Before(end)
}
