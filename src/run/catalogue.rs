//! What this build offers: the ids a scenario may use, and the instruction sets the kernels found.

use crate::link;
use crate::nn::arch::{self, Architecture};
use crate::protocol::activation::PROTOCOLS;
use crate::scenario::{Catalogue, KnownArch, KnownLinkModel, KnownProtocol};

/// Every id that a scenario may use.
pub fn catalogue() -> Catalogue {
    Catalogue {
        protocols: PROTOCOLS
            .iter()
            .map(|entry| KnownProtocol { id: entry.id, family: entry.family, settings: entry.settings })
            .collect(),
        archs: arch::all().iter().map(known_arch).collect(),
        link_models: link::models()
            .iter()
            .map(|entry| KnownLinkModel { id: entry.id, transport: entry.transport })
            .collect(),
    }
}

fn known_arch(architecture: &Architecture) -> KnownArch {
    let &Architecture { id, pools, shortcuts, .. } = architecture;
    KnownArch { id, pools, shortcuts, trained: architecture.is_trained() }
}

/// The instruction sets of this machine that kernels make use of.
pub fn cpu_features() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("aes", is_x86_feature_detected!("aes")),
            ("vaes", is_x86_feature_detected!("vaes")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512dq", is_x86_feature_detected!("avx512dq")),
            ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ];
        found.into_iter().filter(|(_, present)| *present).map(|(name, _)| name.to_string()).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}
