package server

import (
	"strings"
	"testing"
)

func TestParseStoreSaysWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"sqlite://":                "write sqlite:///relative.db",
		"sqlite:///:memory:":       "would be lost",
		"http://host:5000":         "set it as MLFLOW_TRACKING_URI",
		"mysql+pymysql://u:pw@h/d": "mysql is not supported",
		"file://other/share":       "it names a host",
		"databricks://profile":     "databricks is not supported",
	} {
		_, err := ParseStore(uri, "/")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", uri, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: the message shows the password: %v", uri, err)
		}
	}
}

func TestAStoreIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"postgresql://u:pw@h/d":                          "postgresql://…@h/d",
		"postgresql://u:p@pw@h/d":                        "postgresql://…@h/d",
		"postgresql://h/d?password=pw&sslmode=require":   "postgresql://h/d?password=…&sslmode=require",
		"postgresql://h/d?user=u&SSLPassword=pw":         "postgresql://h/d?user=u&SSLPassword=…",
		"postgresql+psycopg2://u:pw@h:5432/d?password=p": "postgresql+psycopg2://…@h:5432/d?password=…",
	} {
		if got := (Store{Postgres: uri}).String(); got != want {
			t.Errorf("%s is shown as %s, want %s", uri, got, want)
		}
	}
}

func TestArtifactPlacesFollowMLflowsRules(t *testing.T) {
	t.Parallel()
	folder, file := Store{Folder: "/data/mlruns"}, Store{File: "/data/x.db"}
	for _, tt := range []struct {
		name              string
		config            Config
		store             Store
		root, destination string
	}{
		{"folder", Config{}, folder, "mlflow-artifacts:/", "/data/mlruns"},
		{"folder as CRAN's package starts it", Config{NoServeArtifacts: true}, folder, "/data/mlruns", "/data/mlruns"},
		{"database", Config{}, file, "mlflow-artifacts:/", "/srv/mlartifacts"},
		{"database without proxy", Config{NoServeArtifacts: true}, file, "/srv/mlruns", "/srv/mlartifacts"},
		{"database with leases", Config{Lease: true}, file, "mlflow-artifacts:/", "/data/mlartifacts"},
		{"own destination", Config{ArtifactsDestination: "art"}, folder, "mlflow-artifacts:/", "/srv/art"},
		{"own root", Config{DefaultArtifactRoot: "s3://b/p"}, file, "s3://b/p", "/srv/mlartifacts"},
		{"own relative root", Config{DefaultArtifactRoot: "art"}, file, "/srv/art", "/srv/mlartifacts"},
	} {
		tt.config.Dir = "/srv"
		root, destination := tt.config.artifactPlaces(tt.store)
		if root != tt.root || destination != tt.destination {
			t.Errorf("%s: got %q, %q, want %q, %q", tt.name, root, destination, tt.root, tt.destination)
		}
	}
}

func TestConfigRefusesToListenForOthersWithoutAccounts(t *testing.T) {
	t.Parallel()
	folder := Store{Folder: "/x"}
	for host, refused := range map[string]bool{
		"": false, "127.0.0.1": false, "127.1.2.3": false, "localhost": false, "::1": false,
		"0.0.0.0": true, "::": true, "10.0.0.1": true, "example.org": true,
	} {
		if err := (Config{Host: host}).check(folder); (err != nil) != refused {
			t.Errorf("host %q: %v", host, err)
		}
		if err := (Config{Host: host, AllowUnauthenticated: true}).check(folder); err != nil {
			t.Errorf("host %q, allowed: %v", host, err)
		}
		if err := (Config{Host: host, AllowUnauthenticated: true, Lease: true}).check(folder); (err != nil) != refused {
			t.Errorf("host %q with leases: %v", host, err)
		}
	}
	for _, prefix := range []string{"x", "/x/", "/"} {
		if (Config{StaticPrefix: prefix}).check(folder) == nil {
			t.Errorf("static prefix %q is accepted", prefix)
		}
	}
}
