package e2e

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// fakeS3 starts an object store with buckets, which every program finds that the test starts. Watch, if not nil, sees each
// request before it is answered.
func fakeS3(t *testing.T, watch func(*http.Request), buckets ...string) *s3mem.Backend {
	t.Helper()
	backend := s3mem.New()
	for _, name := range buckets {
		if err := backend.CreateBucket(name); err != nil {
			t.Fatal(err)
		}
	}
	fake := gofakes3.New(backend).Server()
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if watch != nil {
			watch(r)
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(store.Close)
	for key, value := range map[string]string{
		"MLFLOW_S3_ENDPOINT_URL": store.URL, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(key, value)
	}
	return backend
}
