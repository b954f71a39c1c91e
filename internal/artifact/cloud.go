package artifact

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
)

// CloudOptions says how object stores are reached. Credentials come from where the stores' own programs look for them.
type CloudOptions struct {
	// S3Endpoint is the address of a store that speaks S3's protocol, such as MinIO; Amazon's when empty.
	S3Endpoint string
	// S3IgnoreTLS accepts any certificate of S3Endpoint.
	S3IgnoreTLS bool
	// S3Region is used where AWS's own configuration names none; us-east-1 when empty.
	S3Region string
}

// openCloud opens s3://bucket/prefix, gs://bucket/prefix, azblob://container/prefix, or
// wasbs://container@account.blob.core.windows.net/prefix. Nothing is asked of the store yet.
func openCloud(ctx context.Context, destination string, o CloudOptions) (cloud, error) {
	u, err := url.Parse(destination)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("artifacts destination %q is not of the form s3://bucket/prefix", redactURI(destination))
	}
	prefix := strings.Trim(u.Path, "/")
	b := blobs{uri: strings.TrimRight(destination, "/")}
	if prefix != "" {
		if _, err := keyOfText(prefix); err != nil {
			return nil, fmt.Errorf("artifacts destination %q: %w", redactURI(destination), err)
		}
		b.prefix = prefix + "/"
	}
	switch u.Scheme {
	case "s3":
		return openS3(ctx, u.Host, b, o)
	case "gs":
		client := gcp.NewAnonymousHTTPClient(gcp.DefaultTransport())
		if found, err := gcp.DefaultCredentials(ctx); err == nil {
			if client, err = gcp.NewHTTPClient(gcp.DefaultTransport(), gcp.CredentialsTokenSource(found)); err != nil {
				return nil, err
			}
		}
		b.pin = pinGCS
		b.b, err = gcsblob.OpenBucket(ctx, client, u.Host, nil)
	case "azblob", "wasbs":
		options := azureblob.NewDefaultServiceURLOptions()
		container := u.Host
		if u.User != nil {
			container = u.User.Username()
			options.AccountName, options.StorageDomain, _ = strings.Cut(u.Host, ".")
		}
		address, err := azureblob.NewServiceURL(options)
		if err != nil {
			return nil, fmt.Errorf("artifacts destination %q: %w; set AZURE_STORAGE_ACCOUNT", redactURI(destination), err)
		}
		client, err := azureblob.NewDefaultClient(address, azureblob.ContainerName(container))
		if err != nil {
			return nil, err
		}
		b.pin = pinAzure
		if b.b, err = azureblob.OpenBucket(ctx, client, nil); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("artifacts destination %q: a folder, s3://, gs://, azblob:// or wasbs:// can be served", redactURI(destination))
	}
	if err != nil {
		return nil, fmt.Errorf("open the artifact store: %w", err)
	}
	return &b, nil
}

// cloud is a bucket that has artifact URIs of its own.
type cloud interface {
	bucket
	keyOfURI(uri string) (key string, ours bool, err error)
}

func redactURI(uri string) string {
	if u, err := url.Parse(uri); err == nil {
		return u.Redacted()
	}
	return uri
}

func pinGCS(a *blob.Attributes) func(as func(any) bool) error {
	var attributes storage.ObjectAttrs
	known := a.As(&attributes)
	return func(as func(any) bool) error {
		var handle **storage.ObjectHandle
		if known && as(&handle) {
			*handle = (*handle).Generation(attributes.Generation)
		}
		return nil
	}
}

func pinAzure(a *blob.Attributes) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var o *azblob.DownloadStreamOptions
		if as(&o) {
			tag := azcore.ETag(a.ETag)
			o.AccessConditions = &azblob.AccessConditions{ModifiedAccessConditions: &azblob.ModifiedAccessConditions{IfMatch: &tag}}
		}
		return nil
	}
}

// httpClient is for stores with a certificate that nobody has signed.
func httpClient(ignoreTLS bool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	if ignoreTLS {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // MLFLOW_S3_IGNORE_TLS asks for it
	}
	return &http.Client{Transport: transport}
}
