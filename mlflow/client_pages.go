package mlflow

import (
	"context"
	"iter"
)

// The page sizes that Python's client asks for.
const (
	experimentsPage = 1000
	runsPage        = 1000
	modelsPage      = 100
	versionsPage    = 10000
	historyPage     = 25000
)

// Experiments gives every experiment that a search finds, fetching pages as they are needed. It ends after an error.
func (c *Client) Experiments(ctx context.Context, req SearchExperimentsRequest) iter.Seq2[*Experiment, error] {
	pageSize(&req.MaxResults, experimentsPage)
	return pages(req.PageToken, func(token string) ([]Experiment, string, error) {
		req.PageToken = token
		page, err := c.SearchExperiments(ctx, &req)
		if err != nil {
			return nil, "", err
		}
		return page.Experiments, page.NextPageToken, nil
	})
}

// Runs gives every run that a search finds, fetching pages as they are needed. It ends after an error.
func (c *Client) Runs(ctx context.Context, req SearchRunsRequest) iter.Seq2[*Run, error] {
	pageSize(&req.MaxResults, runsPage)
	return pages(req.PageToken, func(token string) ([]Run, string, error) {
		req.PageToken = token
		page, err := c.SearchRuns(ctx, &req)
		if err != nil {
			return nil, "", err
		}
		return page.Runs, page.NextPageToken, nil
	})
}

// MetricHistory gives every point of a metric in the order of (timestamp, step, value). It ends after an error.
func (c *Client) MetricHistory(ctx context.Context, runID, key string) iter.Seq2[*Metric, error] {
	req := GetMetricHistoryRequest{RunID: runID, MetricKey: key}
	pageSize(&req.MaxResults, historyPage)
	return pages("", func(token string) ([]Metric, string, error) {
		req.PageToken = token
		page, err := c.GetMetricHistory(ctx, &req)
		if err != nil {
			return nil, "", err
		}
		return page.Metrics, page.NextPageToken, nil
	})
}

// RegisteredModels gives every model that a search finds, fetching pages as they are needed. It ends after an error.
func (c *Client) RegisteredModels(
	ctx context.Context, req SearchRegisteredModelsRequest,
) iter.Seq2[*RegisteredModel, error] {
	pageSize(&req.MaxResults, modelsPage)
	return pages(req.PageToken, func(token string) ([]RegisteredModel, string, error) {
		req.PageToken = token
		page, err := c.SearchRegisteredModels(ctx, &req)
		if err != nil {
			return nil, "", err
		}
		return page.RegisteredModels, page.NextPageToken, nil
	})
}

// ModelVersions gives every version that a search finds, fetching pages as they are needed. It ends after an error.
func (c *Client) ModelVersions(ctx context.Context, req SearchModelVersionsRequest) iter.Seq2[*ModelVersion, error] {
	pageSize(&req.MaxResults, versionsPage)
	return pages(req.PageToken, func(token string) ([]ModelVersion, string, error) {
		req.PageToken = token
		page, err := c.SearchModelVersions(ctx, &req)
		if err != nil {
			return nil, "", err
		}
		return page.ModelVersions, page.NextPageToken, nil
	})
}

func pageSize(size *Opt[int64], standard int64) {
	if !size.Set {
		*size = Some(standard)
	}
}

// pages walks from a token over all pages. A server that answers with the token it was given would page for ever, so that
// ends the walk with an error.
func pages[T any](token string, fetch func(token string) ([]T, string, error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for token := token; ; {
			items, next, err := fetch(token)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range items {
				if !yield(&items[i], nil) {
					return
				}
			}
			if next == "" {
				return
			}
			if next == token {
				yield(nil, Errorf(CodeInternal, "server gave the same page token twice"))
				return
			}
			token = next
		}
	}
}
