package artifact

import (
	"mime"
	"path"
	"strings"
)

// textTypes are the extensions that MLflow shows as plain text, whatever the system's table says.
var textTypes = map[string]bool{
	"txt": true, "log": true, "err": true, "cfg": true, "conf": true, "cnf": true, "cf": true, "ini": true, "properties": true,
	"prop": true, "hocon": true, "toml": true, "yaml": true, "yml": true, "xml": true, "json": true, "js": true, "py": true,
	"py3": true, "csv": true, "tsv": true, "md": true, "rst": true, "mlmodel": true, "mlproject": true,
}

// contentType guesses a file's type from its name.
func contentType(name string) string {
	extension := path.Ext(name)
	kind := strings.ToLower(strings.TrimPrefix(extension, "."))
	if extension == "" { // "MLmodel", but also a file that is just called "log"
		kind = strings.ToLower(name)
	}
	if textTypes[kind] {
		return "text/plain"
	}
	if guess := mime.TypeByExtension(strings.ToLower(extension)); guess != "" {
		return guess
	}
	return "application/octet-stream"
}

// attachment is the Content-Disposition of a download: browsers save it, under this name.
func attachment(name string) string {
	plain := func(c rune) bool {
		return c == '.' || c == '-' || c == '_' || c == '+' || ('0' <= c && c <= '9') || ('a' <= c|0x20 && c|0x20 <= 'z')
	}
	if strings.IndexFunc(name, func(c rune) bool { return !plain(c) }) < 0 {
		return "attachment; filename=" + name
	}
	// RFC 6266: an ASCII name for old programs, and RFC 8187's form with the true one.
	ascii := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
			return '_'
		}
		return c
	}, name)
	var encoded strings.Builder
	for _, b := range []byte(name) {
		if b < 0x80 && plain(rune(b)) {
			encoded.WriteByte(b)
			continue
		}
		const hex = "0123456789ABCDEF"
		encoded.Write([]byte{'%', hex[b>>4], hex[b&15]})
	}
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + encoded.String()
}
