package artifact

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/weir-ml/weir/mlflow"
)

// partURLLives is how long the address of a part can be used: long enough for a large file over a slow line.
const partURLLives = 24 * time.Hour

// s3Bucket adds to blobs what S3 does by itself: clients send the parts of a file straight to it.
type s3Bucket struct {
	blobs
	client *s3.Client
	name   string
}

func openS3(ctx context.Context, name string, b blobs, o CloudOptions) (*s3Bucket, error) {
	load := []func(*config.LoadOptions) error{}
	if o.S3IgnoreTLS {
		load = append(load, config.WithHTTPClient(httpClient(true)))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of AWS: %w", err)
	}
	if c.Region == "" {
		if c.Region = o.S3Region; c.Region == "" {
			c.Region = "us-east-1"
		}
	}
	checksums := aws.RequestChecksumCalculationUnset
	client := s3.NewFromConfig(c, func(so *s3.Options) {
		if o.S3Endpoint == "" {
			return
		}
		so.BaseEndpoint = aws.String(o.S3Endpoint)
		so.UsePathStyle = true
		// Other stores than Amazon's do not know its newer checksums.
		checksums = aws.RequestChecksumCalculationWhenRequired
		so.RequestChecksumCalculation = checksums
		so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	b.pin, b.aborts = pinS3, true
	if b.b, err = s3blob.OpenBucket(ctx, client, name, &s3blob.Options{RequestChecksumCalculation: checksums}); err != nil {
		return nil, fmt.Errorf("open the artifact store: %w", err)
	}
	return &s3Bucket{blobs: b, client: client, name: name}, nil
}

func pinS3(a *blob.Attributes) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var in *s3.GetObjectInput
		if as(&in) {
			in.IfMatch = aws.String(a.ETag)
		}
		return nil
	}
}

func (s *s3Bucket) createUpload(ctx context.Context, key string, parts int) (string, []string, error) {
	if err := s.checkTarget(ctx, key); err != nil {
		return "", nil, err
	}
	made, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.name, Key: aws.String(s.prefix + key), ContentType: aws.String(contentType(path.Base(key))),
	})
	if err != nil {
		return "", nil, s.explainUpload(err, key, "")
	}
	signer := s3.NewPresignClient(s.client, s3.WithPresignExpires(partURLLives))
	addresses := make([]string, parts)
	for i := range addresses {
		signed, err := signer.PresignUploadPart(ctx, &s3.UploadPartInput{
			Bucket: &s.name, Key: aws.String(s.prefix + key), UploadId: made.UploadId, PartNumber: aws.Int32(int32(i + 1)),
		})
		if err != nil {
			return "", nil, fmt.Errorf("sign the address of a part: %w", err)
		}
		addresses[i] = signed.URL
	}
	return aws.ToString(made.UploadId), addresses, nil
}

func (s *s3Bucket) parts(ctx context.Context, key, id string) ([]part, error) {
	pages := s3.NewListPartsPaginator(s.client, &s3.ListPartsInput{Bucket: &s.name, Key: aws.String(s.prefix + key), UploadId: &id})
	parts := []part{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.explainUpload(err, key, id)
		}
		for _, p := range page.Parts {
			parts = append(parts, part{int(aws.ToInt32(p.PartNumber)), strings.Trim(aws.ToString(p.ETag), `"`), aws.ToInt64(p.Size)})
		}
	}
	return parts, nil
}

func (s *s3Bucket) completeUpload(ctx context.Context, key, id string, parts []part, check func(stored) error) (stored, bool, error) {
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b part) int { return a.number - b.number })
	arrived, err := s.parts(ctx, key, id)
	if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist && s.isMadeOf(ctx, key, parts) {
		return stored{}, false, nil // a client that did not get our answer asks again
	}
	if err != nil {
		return stored{}, false, err
	}
	if err := checkParts(parts, arrived); err != nil {
		return stored{}, false, err
	}
	if len(parts) == 0 {
		// S3 makes no file of no parts.
		if _, err := s.put(ctx, key, bytes.NewReader(nil), check); err != nil {
			return stored{}, false, err
		}
		return stored{}, false, s.abortUpload(ctx, key, id)
	}
	list := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		list[i] = types.CompletedPart{PartNumber: aws.Int32(int32(p.number)), ETag: aws.String(`"` + p.tag + `"`)}
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.name, Key: aws.String(s.prefix + key), UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
	})
	if err != nil {
		return stored{}, false, s.explainUpload(err, key, id)
	}
	// The bytes went past us: their SHA-256 is not known.
	return stored{}, false, nil
}

// checkParts compares the parts that a client lists, by number, with those that have arrived.
func checkParts(listed, arrived []part) error {
	for i, p := range listed {
		if p.number != i+1 {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "part %d is not listed, or twice; nothing was stored", i+1)
		}
		if i >= len(arrived) || arrived[i].number != p.number || arrived[i].tag != p.tag {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"part %d with the ETag '%s' has not arrived; nothing was stored", p.number, p.tag)
		}
	}
	if len(arrived) > len(listed) {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"part %d has arrived and is not listed; nothing was stored", arrived[len(listed)].number)
	}
	return nil
}

// isMadeOf reports whether a file consists of these parts: S3's tag of such a file is made of theirs.
func (s *s3Bucket) isMadeOf(ctx context.Context, key string, parts []part) bool {
	a, err := s.b.Attributes(ctx, s.prefix+key)
	if err != nil {
		return false
	}
	sums := md5.New()
	for _, p := range parts {
		sum, err := hex.DecodeString(p.tag)
		if err != nil {
			return false
		}
		sums.Write(sum)
	}
	return strings.Trim(a.ETag, `"`) == hex.EncodeToString(sums.Sum(nil))+"-"+strconv.Itoa(len(parts))
}

func (s *s3Bucket) abortUpload(ctx context.Context, key, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.name, Key: aws.String(s.prefix + key), UploadId: &id,
	})
	if err == nil {
		return nil
	}
	if err = s.explainUpload(err, key, id); mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
		return nil
	}
	return err
}

func (s *s3Bucket) explainUpload(err error, key, id string) error {
	var e smithy.APIError
	if errors.As(err, &e) {
		switch e.ErrorCode() {
		case "NoSuchUpload":
			return mlflow.Errorf(mlflow.CodeResourceDoesNotExist, "there is no upload '%s' of '%s'", id, key)
		case "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidArgument":
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the store refuses the parts (%s); nothing was stored", e.ErrorCode())
		}
	}
	return s.explainWrite(err, key)
}
