//! How a method learns: everything that its numbers depend on beside the data, with defaults by their size.

use models::nets::sasrec::Norm;

use crate::data::Histories;
use crate::methods::Kind;

/// Settings of all methods; each reads its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The method.
    pub kind: Kind,
    /// Width of a net: SASRec's residual stream, Mult-VAE's hidden layers.
    pub width: usize,
    /// Width of Mult-VAE's latent vector.
    pub latent: usize,
    /// SASRec's blocks.
    pub blocks: usize,
    /// Heads of its attention.
    pub heads: usize,
    /// Items of a history that it sees.
    pub longest: usize,
    /// Where its layer norms stand.
    pub norm: Norm,
    /// Share of activations that are dropped; Mult-VAE's is of items.
    pub dropout: f32,
    /// Items drawn against each that came.
    pub negatives: usize,
    /// gSASRec's t.
    pub calibration: f64,
    /// People of a step.
    pub batch: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Passes over the data.
    pub epochs: u64,
    /// Looks at the held-out people without a gain, after which a training stops.
    pub patience: u64,
    /// Weight of Mult-VAE's divergence, once it has risen.
    pub divergence: f64,
    /// Added to the diagonal: EASE's and iALS' λ.
    pub regularisation: f64,
    /// Numbers of iALS' vectors.
    pub factors: usize,
    /// Times that iALS goes to and fro.
    pub iterations: usize,
    /// iALS' α.
    pub alpha: f64,
    /// Nearest items that are kept of each.
    pub neighbours: usize,
    /// Added to the root that a cosine is divided by.
    pub shrink: f32,
    /// Of all that is drawn.
    pub seed: u64,
    /// Products in bf16.
    pub bf16: bool,
}

impl Plan {
    /// What is usual for a method and data of this size.
    pub fn usual(kind: Kind, histories: &Histories, items: usize) -> Self {
        let mut lengths: Vec<usize> = histories.iter().map(<[u32]>::len).collect();
        lengths.sort_unstable();
        // nineteen of twenty histories are seen whole
        let most = lengths.get(lengths.len() * 19 / 20).copied().unwrap_or(0);
        let longest = most.clamp(10, 200).next_multiple_of(10);
        let generalised = kind == Kind::GSasRec;
        let is_vae = kind == Kind::MultVae;
        Self {
            kind,
            width: if is_vae {
                600
            } else if histories.total() < 20_000 {
                32
            } else {
                64
            },
            latent: 200,
            blocks: 2,
            heads: 1,
            longest,
            norm: Norm::Query,
            dropout: if is_vae || longest <= 50 { 0.5 } else { 0.2 },
            negatives: if generalised { 128.min(items.saturating_sub(1) / 2).max(1) } else { 1 },
            calibration: 0.75,
            batch: if is_vae { 256 } else { 128 },
            learning_rate: 1e-3,
            epochs: 200,
            patience: 15,
            divergence: 0.2,
            regularisation: if kind == Kind::Ials { 10. } else { 250. },
            factors: 64,
            iterations: 15,
            alpha: 5.,
            neighbours: 200,
            shrink: 10.,
            seed: 0,
            bf16: false,
        }
    }

    /// The method that suits data of this size: order is used where there is one.
    pub fn kind_for(histories: &Histories, items: usize, ordered: bool) -> Kind {
        match (ordered, items) {
            _ if histories.total() < 500 => Kind::ItemKnn,
            (true, _) => Kind::SasRec,
            (false, ..=10_000) => Kind::Ease,
            (false, _) => Kind::Ials,
        }
    }

    /// One line that names what numbers depend on.
    pub fn describe(&self) -> String {
        let Self { width, blocks, heads, longest, dropout, negatives, batch, seed, .. } = self;
        let seed = format!("seed {seed}");
        match self.kind {
            Kind::SasRec | Kind::GSasRec => {
                let norm = format!("{:?}", self.norm).to_lowercase();
                let (t, name) = (self.calibration, self.kind.name());
                let t = if self.kind == Kind::GSasRec { format!(", t {t}") } else { String::new() };
                format!(
                    "{name} of {blocks} blocks of {width}, {heads} heads, {longest} items, norm {norm}, dropout {dropout}, {negatives} drawn{t}, batch {batch}, {seed}"
                )
            }
            Kind::MultVae => {
                format!("multvae {width}-{}, dropout {dropout}, batch {batch}, {seed}", self.latent)
            }
            Kind::Ease => format!("ease, regularisation {}", self.regularisation),
            Kind::Ials => format!(
                "ials of {} factors, alpha {}, regularisation {}, {} iterations, {seed}",
                self.factors, self.alpha, self.regularisation, self.iterations
            ),
            Kind::ItemKnn => format!("itemknn of {}, shrink {}", self.neighbours, self.shrink),
            Kind::Popular => "popular".into(),
        }
    }
}
