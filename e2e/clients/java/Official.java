import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.mlflow.api.proto.ModelRegistry.ModelVersion;
import org.mlflow.api.proto.Service.*;
import org.mlflow.tracking.ActiveRun;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.MlflowContext;
import org.mlflow.tracking.MlflowHttpException;
import org.mlflow.tracking.Page;

/**
 * Tracking, files and registry as users of MLflow's official Java client write them. compare.py runs it against this
 * server and against Python's own, and compares what it gets; a step is one line of JSON.
 *
 * <p>The client calls a Python program for files: MLFLOW_PYTHON_EXECUTABLE names it.
 */
public class Official {
  private static final MlflowClient client = new MlflowClient(System.getenv("MLFLOW_TRACKING_URI"));
  private static final String stamp = "" + System.nanoTime() + ProcessHandle.current().pid();
  private static final Map<String, String> names = new LinkedHashMap<>(Map.of(stamp, "STAMP"));
  private static final PrintStream out = new PrintStream(System.out, true, UTF_8);

  public static void main(String[] args) throws Exception {
    String experiment = experiments();
    String run = runs(experiment);
    batches(experiment);
    searches(experiment);
    files(run);
    registry(run);
    fluent();
    ends(experiment, run);
    client.close();
  }

  private static String experiments() {
    String title = "java früh 日本 " + stamp;
    String id = client.createExperiment(title);
    names.put("/" + id + "/", "/E/");
    say("an experiment", of(client.getExperiment(id)));
    client.setExperimentTag(id, "team", "soil ü");
    say("its tags", client.getExperiment(id).getTagsList().stream().map(t -> t.getKey() + "=" + t.getValue()).collect(Collectors.toList()));
    say("by name", client.getExperimentByName(title).isPresent());
    say("unknown by name", client.getExperimentByName("none " + stamp).isPresent());
    refused("a name twice", () -> client.createExperiment(title));
    refused("an unknown experiment", () -> client.getExperiment("99999999"));
    say("experiments found", titles(client.searchExperiments("name LIKE '%" + stamp + "' AND tags.team = 'soil ü'").getItems()));
    for (int i = 0; i < 3; i++) {
      client.createExperiment("java " + i + " " + stamp);
    }
    say("experiments in pages", pages(client.searchExperiments("name LIKE 'java %" + stamp + "'", ViewType.ALL, 2, List.of("name DESC")), Experiment::getName));
    refused("experiments where nothing is", () -> client.searchExperiments("colour = 'x'"));
    return id;
  }

  private static String runs(String experiment) {
    RunInfo info = client.createRun(CreateRun.newBuilder().setExperimentId(experiment).setRunName("first").setStartTime(1000)
        .addTags(RunTag.newBuilder().setKey("kind").setValue("ü")).build());
    String id = info.getRunId();
    names.put(id, "RUN");
    say("a run", List.of(info.getRunName(), "" + info.getStatus(), info.getStartTime(), info.getArtifactUri(), info.getLifecycleStage(), info.getRunUuid()));
    client.logParam(id, "alpha", "0.5");
    client.logParam(id, "alpha", "0.5");
    client.logParam(id, "long", "x".repeat(6000));
    refused("a param changed", () -> client.logParam(id, "alpha", "0.6"));
    refused("a bad key", () -> client.logParam(id, "a//b", "1"));
    double[] values = {3, Double.NaN, -0.5, 1e-320, 1.5};
    for (int i = 0; i < values.length; i++) {
      client.logMetric(id, "loss", values[i], 100 + i, i);
    }
    client.logMetric(id, "largest", Double.POSITIVE_INFINITY, 1, 0);
    client.logMetric(id, "val/acc", 0.75);
    client.setTag(id, "colour", "blue");
    client.setTag(id, "gone", "1");
    client.deleteTag(id, "gone");
    refused("delete a tag that is not there", () -> client.deleteTag(id, "gone"));
    client.setTerminated(id, RunStatus.FINISHED, 2000);
    Run run = client.getRun(id);
    say("the run's data", of(run));
    say("when it ended", List.of("" + run.getInfo().getStatus(), run.getInfo().getEndTime()));
    say("history", client.getMetricHistory(id, "loss").stream().map(m -> m.getStep() + " " + m.getTimestamp() + " " + m.getValue()).collect(Collectors.toList()));
    say("infinity", client.getMetricHistory(id, "largest").get(0).getValue() >= Double.MAX_VALUE);
    say("history of nothing", client.getMetricHistory(id, "none").size());
    refused("an unknown run", () -> client.getRun("0".repeat(32)));
    return id;
  }

  private static void batches(String experiment) {
    String id = client.createRun(CreateRun.newBuilder().setExperimentId(experiment).setRunName("batch").setStartTime(1).build()).getRunId();
    names.put(id, "BATCH");
    List<Metric> points = IntStream.range(0, 1000).mapToObj(i -> Metric.newBuilder().setKey("m").setValue(i).setTimestamp(i).setStep(i).build()).collect(Collectors.toList());
    client.logBatch(id, points, List.of(), List.of());
    client.logBatch(id, points.subList(0, 5), List.of(Param.newBuilder().setKey("p").setValue("ü").build()), List.of(RunTag.newBuilder().setKey("t").setValue("1").build()));
    say("a batch", of(client.getRun(id)));
    say("its points", client.getMetricHistory(id, "m").size());
    List<Param> many = IntStream.range(0, 101).mapToObj(i -> Param.newBuilder().setKey("q" + i).setValue("1").build()).collect(Collectors.toList());
    refused("101 params", () -> client.logBatch(id, null, many, null));
    refused("a changed param in a batch", () -> client.logBatch(id, null, List.of(Param.newBuilder().setKey("p").setValue("2").build()), null));
  }

  private static void searches(String experiment) {
    for (int i = 0; i < 5; i++) {
      String id = client.createRun(CreateRun.newBuilder().setExperimentId(experiment).setRunName("s" + i).setStartTime(5000 + i).build()).getRunId();
      client.logMetric(id, "score", i % 3, 1, 1);
      client.logParam(id, "lr", i < 2 ? "low" : "High");
      client.setTag(id, "i", "" + i);
    }
    List<String> in = List.of(experiment);
    for (String filter : List.of("metrics.score > 0", "params.lr = 'low'", "params.lr ILIKE 'hi%' and metrics.score < 2", "tags.i != '1'", "attributes.status = 'FINISHED'", "start_time >= 5003")) {
      say("runs where " + filter, client.searchRuns(in, filter).stream().map(RunInfo::getRunName).sorted().collect(Collectors.toList()));
    }
    say("runs in pages", pages(client.searchRuns(in, "params.lr LIKE '%'", ViewType.ACTIVE_ONLY, 2, List.of("metrics.score DESC", "tags.i ASC")), r -> r.getInfo().getRunName()));
    refused("runs where nothing is", () -> client.searchRuns(in, "metrics.score = 'x'"));
    refused("an odd order", () -> client.searchRuns(in, "", ViewType.ALL, 5, List.of("colour")));
  }

  private static void files(String run) throws Exception {
    Path root = Files.createTempDirectory("weir-java");
    Files.createDirectories(root.resolve("tree/sub"));
    Files.write(root.resolve("one.bin"), bytes(1000));
    Files.write(root.resolve("tree/sub/a b.txt"), "ü\n".getBytes(UTF_8));
    Files.write(root.resolve("tree/big.bin"), bytes(3_000_000));
    client.logArtifact(run, root.resolve("one.bin").toFile());
    client.logArtifact(run, root.resolve("one.bin").toFile(), "below/here");
    client.logArtifacts(run, root.resolve("tree").toFile(), "data");
    for (String path : new String[] {null, "data", "data/sub", "below", "one.bin", "none"}) {
      List<FileInfo> found = path == null ? client.listArtifacts(run) : client.listArtifacts(run, path);
      say("files of " + path, found.stream().map(f -> f.getPath() + " " + f.getIsDir() + " " + f.getFileSize()).sorted().collect(Collectors.toList()));
    }
    File one = client.downloadArtifacts(run, "one.bin");
    say("a file downloaded", Arrays.equals(Files.readAllBytes(one.toPath()), bytes(1000)));
    File tree = client.downloadArtifacts(run, "data");
    try (Stream<Path> found = Files.walk(tree.toPath())) {
      say("a folder downloaded", found.filter(Files::isRegularFile).map(p -> tree.toPath().relativize(p).toString()).sorted().collect(Collectors.toList()));
    }
    say("its content", Arrays.equals(Files.readAllBytes(tree.toPath().resolve("big.bin")), bytes(3_000_000)));
  }

  private static void registry(String run) {
    String model = "java-" + stamp;
    client.sendPost("registered-models/create", "{\"name\":\"" + model + "\",\"tags\":[{\"key\":\"owner\",\"value\":\"ann\"}]}");
    for (int i = 0; i < 3; i++) {
      client.sendPost("model-versions/create", "{\"name\":\"" + model + "\",\"run_id\":\"" + run + "\",\"source\":\"" + client.getRun(run).getInfo().getArtifactUri() + "/data\"}");
    }
    client.sendPost("model-versions/transition-stage", "{\"name\":\"" + model + "\",\"version\":\"2\",\"stage\":\"Production\",\"archive_existing_versions\":false}");
    say("a model", client.getRegisteredModel(model).getTagsList().stream().map(t -> t.getKey() + "=" + t.getValue()).collect(Collectors.toList()));
    say("latest versions", client.getLatestVersions(model).stream().map(Official::of).sorted().collect(Collectors.toList()));
    say("latest in production", client.getLatestVersions(model, List.of("Production")).stream().map(Official::of).collect(Collectors.toList()));
    say("a version", of(client.getModelVersion(model, "1")));
    say("where it is downloaded from", client.getModelVersionDownloadUri(model, "1"));
    say("a version downloaded", new File(client.downloadModelVersion(model, "1"), "sub/a b.txt").length());
    say("versions in pages", pages(client.searchModelVersions("name = '" + model + "'", 2, List.of("version_number DESC")), Official::of));
    refused("an unknown version", () -> client.getModelVersion(model, "99"));
    refused("an unknown model", () -> client.getRegisteredModel("none " + stamp));
  }

  private static void fluent() {
    MlflowContext context = new MlflowContext(client).setExperimentName("java 0 " + stamp);
    context.withActiveRun("fluent", run -> {
      names.put(run.getId(), "FLUENT");
      run.logParams(Map.of("a", "1", "b", "2"));
      run.logMetrics(Map.of("x", 1.0, "y", 2.0), 3);
      run.setTags(Map.of("k", "v"));
      ActiveRun child = context.startRun("child", run.getId());
      child.logMetric("x", 5, 1);
      child.endRun(RunStatus.KILLED);
      say("a child", of(client.getRun(child.getId())));
      say("its end", "" + client.getRun(child.getId()).getInfo().getStatus());
    });
    List<RunInfo> found = client.searchRuns(List.of(context.getExperimentId()), "params.a = '1'");
    say("a run by the context", of(client.getRun(found.get(0).getRunId())));
  }

  private static void ends(String experiment, String run) {
    client.deleteRun(run);
    say("a deleted run", client.getRun(run).getInfo().getLifecycleStage());
    refused("log to a deleted run", () -> client.logParam(run, "n", "1"));
    client.restoreRun(run);
    client.renameExperiment(experiment, "renamed " + stamp);
    client.deleteExperiment(experiment);
    say("a deleted experiment", of(client.getExperiment(experiment)));
    refused("a run in it", () -> client.createRun(experiment));
    client.restoreExperiment(experiment);
    say("a restored experiment", of(client.getExperiment(experiment)));
  }

  // What is compared of each thing; what the client adds about the machine is left out.

  private static Object of(Experiment e) {
    return List.of(e.getName(), (e.getArtifactLocation() + "/").replaceAll(".*(/E/)$", "$1"), e.getLifecycleStage(), e.getCreationTime() > 0);
  }

  private static Object of(Run r) {
    Map<String, Object> data = new TreeMap<>();
    r.getData().getParamsList().forEach(p -> data.put("param " + p.getKey(), p.getValue()));
    r.getData().getTagsList().stream().filter(t -> !t.getKey().startsWith("mlflow.source") && !t.getKey().equals("mlflow.user")).forEach(t -> data.put("tag " + t.getKey(), t.getValue()));
    r.getData().getMetricsList().stream().filter(m -> !m.getKey().equals("largest")).forEach(m -> data.put("metric " + m.getKey(), m.getStep() + " " + m.getValue()));
    return data;
  }

  private static String of(ModelVersion v) {
    return v.getVersion() + " " + v.getCurrentStage() + " " + v.getStatus() + " " + v.getRunId() + " " + v.getSource();
  }

  private static List<String> titles(Iterable<Experiment> found) {
    return StreamSupport.stream(found.spliterator(), false).map(Experiment::getName).collect(Collectors.toList());
  }

  private static <E> List<List<String>> pages(Page<E> page, Function<E, String> title) {
    List<List<String>> all = new ArrayList<>();
    for (; page.getPageSize() > 0; page = page.getNextPage()) {
      all.add(StreamSupport.stream(page.getItems().spliterator(), false).map(title).collect(Collectors.toList()));
      if (!page.hasNextPage()) {
        break;
      }
    }
    return all;
  }

  private static byte[] bytes(int n) {
    byte[] b = new byte[n];
    for (int i = 0; i < n; i++) {
      b[i] = (byte) (i * 31 + i / 251);
    }
    return b;
  }

  private static void refused(String what, Runnable call) {
    try {
      call.run();
      say(what, "accepted");
    } catch (MlflowHttpException e) {
      String body = e.getBodyMessage() == null ? "" : e.getBodyMessage();
      say(what, List.of(e.getStatusCode(), body.replaceAll("(?s).*\"error_code\"\\s*:\\s*\"(\\w+)\".*", "$1")));
    }
  }

  private static void say(String step, Object got) {
    String text = json(got);
    for (Map.Entry<String, String> n : names.entrySet()) {
      text = text.replace(n.getKey(), n.getValue());
    }
    out.println("{\"step\": " + json(step) + ", \"got\": " + text + "}");
  }

  private static String json(Object v) {
    if (v instanceof Map) {
      return ((Map<?, ?>) v).entrySet().stream().map(e -> json(e.getKey()) + ": " + json(e.getValue())).collect(Collectors.joining(", ", "{", "}"));
    }
    if (v instanceof Collection) {
      return ((Collection<?>) v).stream().map(Official::json).collect(Collectors.joining(", ", "[", "]"));
    }
    if (v instanceof Number || v instanceof Boolean) {
      return v.toString();
    }
    return '"' + v.toString().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
  }
}
