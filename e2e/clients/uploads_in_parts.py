"""Uploads in parts with MLflow's Python client: each file comes back as it was, and an aborted upload leaves nothing."""

import os
import sys
import tempfile

os.environ.update(
    MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
    MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE="0",
    MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE="100000",
)

import mlflow
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

sent = []
create = HttpArtifactRepository.create_multipart_upload


def counting(self, local_file, num_parts=1, artifact_path=None):
    sent.append(num_parts)
    return create(self, local_file, num_parts, artifact_path)


HttpArtifactRepository.create_multipart_upload = counting

files = {
    "small.txt": b"x",
    "edge.bin": os.urandom(200_000),
    "sub/big ü.bin": os.urandom(1_234_567),
}
with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
    mlflow.log_artifacts(folder, "tree")
    mlflow.log_artifact(os.path.join(folder, "edge.bin"))
    assert sorted(sent) == [1, 2, 2, 13], sent

    with tempfile.TemporaryDirectory() as target:
        back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=target)
        for name, content in [*((f"tree/{k}", v) for k, v in files.items()), ("edge.bin", files["edge.bin"])]:
            with open(os.path.join(back, name), "rb") as f:
                assert f.read() == content, name

    # A part that cannot be sent fails the upload, and the client's abort takes all of it away.
    upload_part = HttpArtifactRepository._upload_part

    def failing(credential, local_file, size, start_byte):
        if credential.part_number == 2:
            raise OSError("cut off")
        return upload_part(credential, local_file, size, start_byte)

    HttpArtifactRepository._upload_part = staticmethod(failing)
    try:
        mlflow.log_artifact(os.path.join(folder, "edge.bin"), "broken")
        sys.exit("the upload did not fail")
    except mlflow.MlflowException:
        pass
    client = mlflow.MlflowClient()
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["edge.bin", "tree"]
print("uploads", len(sent))
