//! `weights` in a scenario: one file, or one for each family of protocols.

use super::*;
use longhaul::nn::NnError;
use longhaul::nn::arch::{self, Options};
use longhaul::nn::random::RandomWeights;
use longhaul::nn::weights::{Fill, WeightSource};
use safetensors::tensor::{Dtype, TensorView};

/// Random weights, written down.
struct Recorder {
    inner: RandomWeights,
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl WeightSource for Recorder {
    fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
        // Small, so that polynomials stay in the ring.
        let values: Vec<f32> = self.inner.tensor(name, shape, fill)?.into_iter().map(|value| 0.3 * value).collect();
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.push((name.to_string(), shape.to_vec(), bytes));
        Ok(values)
    }
}

pub(super) fn write_weights(path: &Path, seed: u64) {
    let mut recorder = Recorder { inner: RandomWeights::new(seed), tensors: Vec::new() };
    (arch::find("minionn").unwrap().build)(&Options::default(), &mut recorder).unwrap();
    let views = recorder.tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree"))
    });
    std::fs::write(path, safetensors::serialize(views, None).expect("a valid file")).expect("written");
}

#[test]
fn each_family_can_have_its_own() {
    let scenario = TINY.replace("[[link]]", "[[protocol]]\nid = \"gmw\"\n[[link]]");
    let place = Place::new("");
    write_weights(&place.path("p.safetensors"), 1);
    write_weights(&place.path("r.safetensors"), 2);
    // The transcripts of fused and gmw; they depend on weights and seed alone.
    let transcripts = |weights: &str| {
        std::fs::write(place.path("x.toml"), scenario.replace("weights = \"random\"", weights)).expect("written");
        place.command(&["run", "x.toml", "--out", "out"]).expect(0);
        let mut rows = csv::Reader::from_path(place.path("out/runs.csv")).expect("runs.csv");
        let rows: Vec<longhaul::report::RunRecord> = rows.deserialize().map(|row| row.expect("a row")).collect();
        let of = |protocol: &str| {
            let row = rows.iter().find(|row| row.protocol == protocol).expect("it ran");
            assert_eq!(row.prediction, row.reference_prediction, "{weights}: {row:?}");
            row.transcript_blake3
        };
        [of("fused"), of("gmw")]
    };
    let family = transcripts("weights = { polynomial = \"p.safetensors\", relu = \"r.safetensors\" }");
    let polynomial = transcripts("weights = \"p.safetensors\"");
    let relu = transcripts("weights = \"r.safetensors\"");
    assert_eq!(family, [polynomial[0], relu[1]]);
    assert!(polynomial[0] != relu[0] && polynomial[1] != relu[1]);

    for (weights, problem) in [
        ("{ polynomial = \"p.safetensors\" }", "relu = \"relu.safetensors\""),
        ("{ polynomial = \"random\", relu = \"r.safetensors\" }", "\"random\" is no .safetensors file; write the path"),
        ("{ polynomial = \"p.safetensors\", relu = \"no.safetensors\" }", "there is no file \"no.safetensors\""),
    ] {
        let bad = scenario.replace("weights = \"random\"", &format!("weights = {weights}"));
        std::fs::write(place.path("x.toml"), bad).expect("written");
        let ended = place.command(&["run", "x.toml"]).expect(2);
        assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    }
}
