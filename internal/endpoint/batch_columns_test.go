package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/model/arrow"
	"github.com/weir-ml/weir/internal/model/frame"
	"github.com/weir-ml/weir/internal/model/parquet"
)

// cars is a body of three cars in each format of columns.
func cars(t *testing.T, media string) []byte {
	t.Helper()
	columns := []*model.Column{
		frame.NewColumn("wt", model.Double, []float64{2.5, 3, 3.5}, nil, nil, nil),
		frame.NewColumn("hp", model.Integer, []float64{100, 110, 0}, nil, nil, []bool{false, false, true}),
		frame.NewColumn("qsec", model.Double, []float64{17, 18, 19}, nil, nil, nil),
	}
	var out bytes.Buffer
	var err error
	if media == model.MediaParquet {
		w := parquet.NewWriter(&out, parquet.State{})
		if err = w.Write(columns, 3); err == nil {
			err = w.Close()
		}
	} else {
		err = arrow.Write(&out, columns, 3, media == model.MediaArrowFile)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// ask sends a body of rows and gives the answer.
func ask(t *testing.T, server *httptest.Server, contentType, accept string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/invocations", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", accept)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, answer
}

// Arrow and Parquet bodies are predicted as JSON is, and answered so when the client asks.
func TestColumnsInAndOut(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "lm", nil)
	want := expected(t, "unname(predict(lm(mpg ~ wt + hp + qsec, mtcars), data.frame(wt = c(2.5, 3), hp = c(100, 110), qsec = c(17, 18))))")
	_, page := fetch(t, server, "/openapi.json")
	for _, media := range []string{model.MediaArrowStream, model.MediaArrowFile, model.MediaParquet} {
		if n := strings.Count(page, strconv.Quote(media)+":"); n != 2 {
			t.Errorf("/openapi.json names %s %d times, not as what is taken and answered", media, n)
		}
		for _, accept := range []string{media, media + ", */*", "application/json;q=0.5, " + media} {
			resp, answer := ask(t, server, media, accept, cars(t, media))
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != media {
				t.Fatalf("%s: %s %s", accept, resp.Status, answer)
			}
			in, err := model.ParseColumns(media, answer, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := in.Columns[0]
			if c.Name != "predictions" || !c.IsNull(2) || !cmp.Equal(c.Num[:2], want) {
				t.Errorf("%s: %s %v %v", media, c.Name, c.Num, c.Null)
			}
		}
		for _, accept := range []string{"", "*/*", "application/json, " + media + ";q=0.1"} {
			resp, answer := ask(t, server, media, accept, cars(t, media))
			if resp.Header.Get("Content-Type") != "application/json" || !strings.HasSuffix(string(answer), ",null]}") {
				t.Errorf("%s as %q: %s", media, accept, answer)
			}
		}
		if resp, answer := ask(t, server, media, "", []byte("no such thing")); resp.StatusCode != 400 || !strings.Contains(string(answer), "is not") {
			t.Errorf("%s: %s %s", media, resp.Status, answer)
		}
	}
}

// Every type of a prediction has its type in the columns.
func TestPredictionsAsColumns(t *testing.T) {
	t.Parallel()
	_, server := serve(t, "obey", nil)
	for code, want := range map[string]string{
		"c(TRUE, NA, FALSE)":                        "predictions:logical 1 NA 0",
		"c(1L, NA, 3L)":                             "predictions:integer 1 NA 3",
		"c(1.5, NA, Inf)":                           "predictions:double 1.5 NA +Inf",
		"c('a', NA, '')":                            "predictions:string a NA ",
		"factor(c('lo', NA, 'hi'), c('lo', 'hi'))":  "predictions:factor lo NA hi",
		"as.Date(c(1, NA, 3), origin='1970-01-01')": "predictions:date 1 NA 3",
		"as.POSIXct(c(1.5, NA, 3), origin='1970-01-01', tz='UTC')": "predictions:datetime 1.5 NA 3",
		"matrix(1:6, 3, dimnames=list(NULL, c('a', 'b')))":         "a:integer 1 2 3|b:integer 4 5 6",
		"data.frame(x=1:3, y=c('u','v','w'))":                      "x:integer 1 2 3|y:string u v w",
	} {
		rows := fmt.Sprintf(`{"dataframe_records": [{"do": "eval", "code": %q}, {"do": "", "code": ""}, {"do": "", "code": ""}]}`, code)
		resp, answer := ask(t, server, "application/json", model.MediaArrowStream, []byte(rows))
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s", code, answer)
		}
		in, err := model.ParseColumns(model.MediaArrowStream, answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range in.Columns {
			text := c.Name + ":" + c.Kind.String()
			for i := range 3 {
				text += " " + cell(c, i)
			}
			got = append(got, text)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s is %s", code, strings.Join(got, "|"))
		}
	}
	rows := `{"dataframe_records": [{"do": "eval", "code": "list(1, 'a')"}]}`
	if resp, answer := ask(t, server, "application/json", model.MediaParquet, []byte(rows)); resp.StatusCode != 400 || !strings.Contains(string(answer), "ask for application/json") {
		t.Errorf("%s %s", resp.Status, answer)
	}
}

func cell(c *model.Column, i int) string {
	switch {
	case c.IsNull(i):
		return "NA"
	case c.Kind == model.Text:
		return c.Str[i]
	case c.Kind == model.Factor:
		return c.Levels[int(c.Num[i])]
	case math.IsInf(c.Num[i], 1):
		return "+Inf"
	}
	return string(appendNumber(nil, c.Num[i]))
}
