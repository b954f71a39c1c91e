package mlflow

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrorCode is one of MLflow's error codes; it survives the wire in both directions.
type ErrorCode string

// The codes that Weir answers with. Any other code that a server sends is kept as it is.
const (
	CodeBadRequest             ErrorCode = "BAD_REQUEST"
	CodeInvalidParameterValue  ErrorCode = "INVALID_PARAMETER_VALUE"
	CodeResourceAlreadyExists  ErrorCode = "RESOURCE_ALREADY_EXISTS"
	CodeUnauthenticated        ErrorCode = "UNAUTHENTICATED"
	CodePermissionDenied       ErrorCode = "PERMISSION_DENIED"
	CodeResourceDoesNotExist   ErrorCode = "RESOURCE_DOES_NOT_EXIST"
	CodeEndpointNotFound       ErrorCode = "ENDPOINT_NOT_FOUND"
	CodeResourceConflict       ErrorCode = "RESOURCE_CONFLICT"
	CodeRequestLimitExceeded   ErrorCode = "REQUEST_LIMIT_EXCEEDED"
	CodeResourceExhausted      ErrorCode = "RESOURCE_EXHAUSTED"
	CodeCancelled              ErrorCode = "CANCELLED"
	CodeInternal               ErrorCode = "INTERNAL_ERROR"
	CodeNotImplemented         ErrorCode = "NOT_IMPLEMENTED"
	CodeTemporarilyUnavailable ErrorCode = "TEMPORARILY_UNAVAILABLE"
	CodeDeadlineExceeded       ErrorCode = "DEADLINE_EXCEEDED"

	// The next ones are not MLflow's: they name faults of HTTP itself, of model servers and of the disk.
	CodeMethodNotAllowed     ErrorCode = "METHOD_NOT_ALLOWED"
	CodePreconditionFailed   ErrorCode = "PRECONDITION_FAILED"
	CodePayloadTooLarge      ErrorCode = "PAYLOAD_TOO_LARGE"
	CodeUnsupportedMediaType ErrorCode = "UNSUPPORTED_MEDIA_TYPE"
	CodeBadGateway           ErrorCode = "BAD_GATEWAY"
	CodeInsufficientStorage  ErrorCode = "INSUFFICIENT_STORAGE"
	CodeDataCorrupt          ErrorCode = "DATA_CORRUPT"
)

var httpStatus = map[ErrorCode]int{
	CodeBadRequest:             http.StatusBadRequest,
	CodeInvalidParameterValue:  http.StatusBadRequest,
	CodeResourceAlreadyExists:  http.StatusBadRequest,
	CodeUnauthenticated:        http.StatusUnauthorized,
	"CUSTOMER_UNAUTHORIZED":    http.StatusUnauthorized,
	CodePermissionDenied:       http.StatusForbidden,
	CodeResourceDoesNotExist:   http.StatusNotFound,
	"NOT_FOUND":                http.StatusNotFound,
	CodeEndpointNotFound:       http.StatusNotFound,
	"ABORTED":                  http.StatusConflict,
	"ALREADY_EXISTS":           http.StatusConflict,
	CodeResourceConflict:       http.StatusConflict,
	CodeRequestLimitExceeded:   http.StatusTooManyRequests,
	CodeResourceExhausted:      http.StatusTooManyRequests,
	CodeCancelled:              499,
	CodeNotImplemented:         http.StatusNotImplemented,
	CodeTemporarilyUnavailable: http.StatusServiceUnavailable,
	CodeDeadlineExceeded:       http.StatusGatewayTimeout,
	CodeMethodNotAllowed:       http.StatusMethodNotAllowed,
	CodePreconditionFailed:     http.StatusPreconditionFailed,
	CodePayloadTooLarge:        http.StatusRequestEntityTooLarge,
	CodeUnsupportedMediaType:   http.StatusUnsupportedMediaType,
	CodeBadGateway:             http.StatusBadGateway,
	CodeInsufficientStorage:    http.StatusInsufficientStorage,
}

// Error is a fault that a user can act on: a code for programs and a sentence for people.
type Error struct {
	Code    ErrorCode `json:"error_code"`
	Message string    `json:"message"`
}

// Error gives "CODE: message", as MLflow's clients print it.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// HTTPStatus is the status that carries the code on the wire; codes that MLflow maps to nothing else are 500.
func (e *Error) HTTPStatus() int {
	if status, ok := httpStatus[e.Code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// Errorf makes an Error; use it where the fault is understood.
func Errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf gives the code of the first *Error in err's chain, and CodeInternal for errors that carry none.
func CodeOf(err error) ErrorCode {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
