//! `scheduler_config.json` of diffusers, and the names that samplers go by.

use candle_core::Result;
use serde::{Deserialize, Serialize};

/// Samplers by the names that users know.
pub const NAMES: [&str; 11] = [
    "ddim",
    "ddpm",
    "dpmpp-2m-karras",
    "dpmpp-sde",
    "euler",
    "euler-a",
    "flow-euler",
    "heun",
    "lcm",
    "pndm",
    "unipc",
];

/// The fields of `scheduler_config.json` that matter, as far as they are there: each sampler has its own defaults for the
/// rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which of diffusers' classes it is for.
    #[serde(rename = "_class_name", skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Times that a net was trained at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_train_timesteps: Option<usize>,
    /// Variance that is added at the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta_start: Option<f64>,
    /// And at the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta_end: Option<f64>,
    /// How it grows between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta_schedule: Option<String>,
    /// All of them instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_betas: Option<Vec<f64>>,
    /// What the net says: `epsilon`, `v_prediction` or `sample`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction_type: Option<String>,
    /// How the times of a sampling are spread: `leading`, `trailing` or `linspace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_spacing: Option<String>,
    /// Added to them where they are `leading`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_offset: Option<usize>,
    /// Whether nothing of the data is left at the last time (Lin et al., 2024).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescale_betas_zero_snr: Option<bool>,
    /// Whether what the net takes for the data is kept within a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_sample: Option<bool>,
    /// That range, to both sides of 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_sample_range: Option<f64>,
    /// Whether the last step ends in data without noise, or with that of time 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_alpha_to_one: Option<bool>,
    /// DDPM's noise: `fixed_small`, `fixed_small_log` or `fixed_large`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance_type: Option<String>,
    /// Whether PNDM begins without Runge and Kutta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_prk_steps: Option<bool>,
    /// Noise levels spread as by Karras et al. (2022).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_karras_sigmas: Option<bool>,
    /// Evenly by their logarithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_exponential_sigmas: Option<bool>,
    /// By a beta distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_beta_sigmas: Option<bool>,
    /// Evenly by the logarithm of signal to noise (Lu et al., 2022).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_lu_lambdas: Option<bool>,
    /// As those of flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_flow_sigmas: Option<bool>,
    /// Least of these noise levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_min: Option<f64>,
    /// Greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// What the last step ends in: `zero` noise or `sigma_min`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_sigmas_type: Option<String>,
    /// How noise levels are found between those of training: `linear` or `log_linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolation_type: Option<String>,
    /// Whether the net is told times, `discrete`, or noise levels, `continuous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_type: Option<String>,
    /// Order of DPM-Solver and UniPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver_order: Option<usize>,
    /// DPM-Solver's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_type: Option<String>,
    /// `midpoint` or `heun` in DPM-Solver, `bh1` or `bh2` in UniPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver_type: Option<String>,
    /// Whether the last steps are of lower order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_order_final: Option<bool>,
    /// Whether the last one is Euler's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub euler_at_final: Option<bool>,
    /// Times with less signal than this are left out.
    #[serde(deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub lambda_min_clipped: Option<f64>,
    /// Whether UniPC works on data, not on noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict_x0: Option<bool>,
    /// Steps after which UniPC does not correct.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_corrector: Option<Vec<usize>>,
    /// Steps among which LCM chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_inference_steps: Option<usize>,
    /// What LCM multiplies times with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_scaling: Option<f64>,
    /// What flows' times are shifted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<f64>,
    /// Whether that depends on the size of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_dynamic_shifting: Option<bool>,
    /// Whether flows' times run backwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invert_sigmas: Option<bool>,
    /// Where flows' noise ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift_terminal: Option<f64>,
    /// Whether flows draw noise at each step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stochastic_sampling: Option<bool>,
    /// Whether what the net takes for the data is cut by its own quantiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholding: Option<bool>,
}

/// A number that Python's JSON may write as `-Infinity`, quoted so that other readers take it.
fn number<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Plain(f64),
        Words(String),
    }
    match Option::<Number>::deserialize(from)? {
        None => Ok(None),
        Some(Number::Plain(number)) => Ok(Some(number)),
        Some(Number::Words(words)) => match words.to_lowercase().as_str() {
            "-inf" | "-infinity" => Ok(Some(f64::NEG_INFINITY)),
            _ => Err(serde::de::Error::custom(format!("`{words}` is no number"))),
        },
    }
}

/// The kinds of samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Denoising diffusion probabilistic models (Ho et al., 2020).
    Ddpm,
    /// Denoising diffusion implicit models (Song et al., 2021).
    Ddim,
    /// Pseudo numerical methods (Liu et al., 2022).
    Pndm,
    /// Euler's method over noise levels (Karras et al., 2022).
    Euler,
    /// The same with new noise at each step.
    EulerAncestral,
    /// Heun's method over noise levels (Karras et al., 2022).
    Heun,
    /// DPM-Solver++ (Lu et al., 2022).
    Dpm,
    /// UniPC (Zhao et al., 2023).
    UniPc,
    /// Latent consistency models (Luo et al., 2023).
    Lcm,
    /// Euler's method along a flow (Lipman et al., 2023).
    FlowEuler,
}

impl Config {
    /// The sampler that the file names.
    ///
    /// # Errors
    /// For a class that is not supported.
    pub fn kind(&self) -> Result<Kind> {
        Ok(match self.class.as_deref().unwrap_or("DDIMScheduler") {
            "DDPMScheduler" => Kind::Ddpm,
            "DDIMScheduler" => Kind::Ddim,
            "PNDMScheduler" => Kind::Pndm,
            "EulerDiscreteScheduler" => Kind::Euler,
            "EulerAncestralDiscreteScheduler" => Kind::EulerAncestral,
            "HeunDiscreteScheduler" => Kind::Heun,
            "DPMSolverMultistepScheduler" => Kind::Dpm,
            "UniPCMultistepScheduler" => Kind::UniPc,
            "LCMScheduler" => Kind::Lcm,
            "FlowMatchEulerDiscreteScheduler" => Kind::FlowEuler,
            other => refuse!(
                "scheduler_config.json: _class_name `{other}` is not supported; --scheduler names another: {}",
                NAMES.join(", ")
            ),
        })
    }

    /// The name among [`NAMES`] of the sampler that the file names.
    ///
    /// # Errors
    /// For a class that is not supported.
    pub fn name(&self) -> Result<&'static str> {
        Ok(match self.kind()? {
            Kind::Ddpm => "ddpm",
            Kind::Ddim => "ddim",
            Kind::Pndm => "pndm",
            Kind::Euler => "euler",
            Kind::EulerAncestral => "euler-a",
            Kind::Heun => "heun",
            Kind::Dpm if self.algorithm_type.as_deref() == Some("sde-dpmsolver++") => "dpmpp-sde",
            Kind::Dpm => "dpmpp-2m-karras",
            Kind::UniPc => "unipc",
            Kind::Lcm => "lcm",
            Kind::FlowEuler => "flow-euler",
        })
    }

    /// The same for another sampler: what is written stays, and the rest takes that one's defaults, as in diffusers'
    /// `from_config`.
    ///
    /// # Errors
    /// For a name that is none of [`NAMES`].
    pub fn with_sampler(&self, name: &str) -> Result<Self> {
        let mut config = self.clone();
        let class = match name {
            "ddim" => "DDIMScheduler",
            "ddpm" => "DDPMScheduler",
            "dpmpp-2m-karras" | "dpmpp-sde" => "DPMSolverMultistepScheduler",
            "euler" => "EulerDiscreteScheduler",
            "euler-a" => "EulerAncestralDiscreteScheduler",
            "flow-euler" => "FlowMatchEulerDiscreteScheduler",
            "heun" => "HeunDiscreteScheduler",
            "lcm" => "LCMScheduler",
            "pndm" => "PNDMScheduler",
            "unipc" => "UniPCMultistepScheduler",
            other => refuse!("{other}: no sampler that is known; there are {}", NAMES.join(", ")),
        };
        config.class = Some(class.into());
        match name {
            "dpmpp-2m-karras" => {
                config.algorithm_type = Some("dpmsolver++".into());
                config.use_karras_sigmas = Some(true);
            }
            "dpmpp-sde" => config.algorithm_type = Some("sde-dpmsolver++".into()),
            _ => {}
        }
        Ok(config)
    }

    /// Refuses what is not done here, by its name.
    pub(super) fn validate(&self, kind: Kind) -> Result<()> {
        let on = |field: Option<bool>| field == Some(true);
        let sigmas = !matches!(kind, Kind::Ddpm | Kind::Ddim | Kind::Pndm | Kind::Lcm);
        let flow = kind == Kind::FlowEuler;
        let refused = [
            (
                "thresholding",
                on(self.thresholding) && !matches!(kind, Kind::Pndm) && (!sigmas || solves(kind)),
            ),
            ("use_beta_sigmas", on(self.use_beta_sigmas) && sigmas && kind != Kind::EulerAncestral),
            ("use_flow_sigmas", on(self.use_flow_sigmas) && solves(kind)),
            ("use_dynamic_shifting", on(self.use_dynamic_shifting) && (flow || solves(kind))),
            ("invert_sigmas", on(self.invert_sigmas) && flow),
            ("shift_terminal", self.shift_terminal.is_some_and(|end| end != 0.) && flow),
        ];
        if let Some((name, _)) = refused.iter().find(|(_, refused)| *refused) {
            refuse!("scheduler_config.json: {name} is not supported");
        }
        if self.num_train_timesteps.is_some_and(|count| !(2..=100_000).contains(&count)) {
            refuse!("scheduler_config.json: num_train_timesteps is not in 2 to 100000");
        }
        if let Some(order) = self.solver_order.filter(|order| !(1..=3).contains(order) && solves(kind)) {
            refuse!("scheduler_config.json: solver_order {order} is not in 1 to 3");
        }
        let spread = [self.use_karras_sigmas, self.use_exponential_sigmas, self.use_beta_sigmas];
        if spread.into_iter().filter(|field| on(*field)).count() > 1 {
            refuse!(
                "scheduler_config.json: only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas can be true"
            );
        }
        Ok(())
    }
}

fn solves(kind: Kind) -> bool {
    matches!(kind, Kind::Dpm | Kind::UniPc)
}
