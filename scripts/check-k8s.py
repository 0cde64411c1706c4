#!/usr/bin/env python3
"""Checks scripts/k8s without a cluster: the manifests agree with each other and follow Kubernetes' schemas, and what their
containers run, run here once per completion index, gives the results of one process, byte for byte.

Needs PyYAML; the schemas come with `pip install kubernetes-validate`, and without it that check is skipped with a message.
The binary is $LONGHAUL, or target/release/longhaul.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("skipped: no PyYAML (pip install pyyaml kubernetes-validate)")
    sys.exit()

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGHAUL = pathlib.Path(os.environ.get("LONGHAUL", ROOT / "target/release/longhaul")).resolve()
FILES = [ROOT / "scripts/k8s/job.yaml", ROOT / "scripts/k8s/merge-job.yaml"]
TABLES = ["runs.csv", "layers.csv", "messages.csv", "summary.csv", "speedup.csv"]
SCENARIO = """
name = "shards"
repetitions = 2
compute = "none"
model = [{ arch = "minionn", weights = "random" }, { arch = "resnet20", weights = "random" }]
protocol = [{ id = "fused", polynomial = "relu-d4" }, { id = "fss" }]
link = [
    { name = "lan", rtt = "1 ms", bandwidth = "1 Gbit/s" },
    { name = "wan", rtt = "100 ms", bandwidth = "100 Mbit/s" },
    { name = "far", rtt = "250 ms", bandwidth = "50 Mbit/s" },
]
"""


def validate(documents):
    try:
        import kubernetes_validate
    except ImportError:
        print("skipped: schemas (pip install kubernetes-validate)")
        return
    version = kubernetes_validate.latest_version()
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
    print(f"k8s: {len(documents)} documents follow the schemas of Kubernetes {version}")


def container(job):
    [container] = job["spec"]["template"]["spec"]["containers"]
    return container


def shards(job):
    [value] = [entry["value"] for entry in container(job)["env"] if entry["name"] == "LONGHAUL_SHARDS"]
    return int(value)


def run(job, mounts, index=None):
    """What a pod of the job runs, with folders of this machine in place of its mounts."""
    spec = container(job)
    words = spec["command"] + spec["args"]
    for mount in spec["volumeMounts"]:
        path = re.compile(r"""(^|(?<=[\s"]))""" + re.escape(mount["mountPath"]) + "/")
        words = [path.sub(f"{mounts[mount['name']]}/", word) for word in words]
    environment = {entry["name"]: entry["value"] for entry in spec["env"]}
    environment["PATH"] = f"{LONGHAUL.parent}:/usr/bin:/bin"
    if index is not None:
        environment["JOB_COMPLETION_INDEX"] = str(index)
    ended = subprocess.run(words, env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{job['metadata']['name']}, index {index}: exit {ended.returncode}\n{ended.stderr}")
    return ended.stderr


def main():
    documents = [document for file in FILES for document in yaml.safe_load_all(file.read_text())]
    validate(documents)
    named = {document["metadata"]["name"]: document for document in documents}
    job, merge, claim = named["longhaul-shards"], named["longhaul-merge"], named["longhaul-results"]
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == shards(job) == shards(merge), "numbers of shards differ"
    for volumes in [j["spec"]["template"]["spec"]["volumes"] for j in (job, merge)]:
        claims = [v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v]
        assert claims == [claim["metadata"]["name"]], claims
    # A selector that no pod matches would not keep the shards apart.
    [term] = spec["template"]["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    labels = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert labels.items() <= spec["template"]["metadata"]["labels"].items(), labels

    place = pathlib.Path(tempfile.mkdtemp())
    try:
        (place / "scenario").mkdir()
        (place / "scenario/scenario.toml").write_text(SCENARIO)
        mounts = {"scenario": place / "scenario", "results": place / "results"}
        for index in range(spec["completions"]):
            said = run(job, mounts, index)
            assert f"shard {index + 1}/{spec['completions']}: " in said, said
            # The pod is tried again: nothing is left to do.
            assert "nothing is left to do" in run(job, mounts, index)
        run(merge, mounts)
        whole = [LONGHAUL, "run", place / "scenario/scenario.toml", "--shard", "1/1", "--out", place / "whole"]
        subprocess.run(whole, check=True, capture_output=True)
        for table in TABLES:
            merged = (place / "results/merged" / table).read_bytes()
            assert merged == (place / "whole" / table).read_bytes(), f"{table} differs"
            assert merged.count(b"\n") > 1, f"{table} is empty"
    finally:
        shutil.rmtree(place)
    print(f"k8s: {spec['completions']} indexes and the merge, run here: every CSV file equals that of one process")


if __name__ == "__main__":
    main()
