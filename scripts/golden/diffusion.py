"""What diffusers' schedulers make, step by step, of a net that is a formula.

    python scripts/golden/diffusion.py

writes shared/golden/diffusion/: cases.json, a list of scheduler_config.json with steps, and expected.safetensors with, for
case N, `N.times`, `N.begin` (what begins), `N.steps` (what is sampled after each time), `N.noised` (data with the noise of
the third time, then what an img2img run from there gives after each time). The net says 0.8 sin(1.3 x + t / 97) + 0.1 x;
all noise is of a generator seeded with 7. Made with torch 2.15 and diffusers 0.42.
"""

import json
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "diffusion"
SHAPE = (2, 3, 3)
SD = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)
COS = dict(beta_schedule="squaredcos_cap_v2")
V = dict(prediction_type="v_prediction")
X = dict(prediction_type="sample")
CLIP = dict(clip_sample=True, clip_sample_range=0.8)
PLAIN = dict(clip_sample=False)
TRAILING = dict(timestep_spacing="trailing")
LEADING = dict(timestep_spacing="leading")
LINSPACE = dict(timestep_spacing="linspace")
ZERO = dict(rescale_betas_zero_snr=True)
KARRAS = dict(use_karras_sigmas=True)
EXP = dict(use_exponential_sigmas=True)
SDE = dict(algorithm_type="sde-dpmsolver++")

CASES = [
    ("DDIM", 6, SD | PLAIN | dict(set_alpha_to_one=False)), ("DDIM", 7, COS | V | CLIP | TRAILING),
    ("DDIM", 5, dict(num_train_timesteps=50) | X | LINSPACE), ("DDIM", 4, V | ZERO | TRAILING | PLAIN),
    ("DDPM", 6, {}), ("DDPM", 5, SD | V | PLAIN | dict(variance_type="fixed_large")),
    ("DDPM", 4, COS | X | TRAILING | dict(variance_type="fixed_small_log")), ("DDPM", 6, dict(beta_schedule="sigmoid") | LINSPACE),
    ("PNDM", 7, SD | dict(skip_prk_steps=True)), ("PNDM", 6, V | TRAILING | dict(skip_prk_steps=True, set_alpha_to_one=True)),
    ("PNDM", 6, {}), ("PNDM", 8, COS | LINSPACE),
    ("EulerDiscrete", 6, SD), ("EulerDiscrete", 5, SD | KARRAS | V), ("EulerDiscrete", 6, EXP | LEADING | dict(final_sigmas_type="sigma_min")),
    ("EulerDiscrete", 4, V | ZERO | TRAILING), ("EulerDiscrete", 5, dict(interpolation_type="log_linear")),
    ("EulerDiscrete", 5, KARRAS | V | dict(timestep_type="continuous", sigma_min=0.002, sigma_max=70.0)),
    ("EulerAncestralDiscrete", 6, SD), ("EulerAncestralDiscrete", 5, V | LEADING), ("EulerAncestralDiscrete", 1, SD | TRAILING),
    ("EulerAncestralDiscrete", 4, V | ZERO | TRAILING),
    ("HeunDiscrete", 4, SD), ("HeunDiscrete", 5, V | KARRAS), ("HeunDiscrete", 4, CLIP | LEADING | EXP), ("HeunDiscrete", 3, X | TRAILING),
    ("DPMSolverMultistep", 6, SD | KARRAS), ("DPMSolverMultistep", 16, SD | V | dict(solver_order=3)),
    ("DPMSolverMultistep", 8, COS | KARRAS | dict(lambda_min_clipped=-5.1, solver_type="heun")),
    ("DPMSolverMultistep", 6, LEADING | EXP | dict(final_sigmas_type="sigma_min", solver_order=1)),
    ("DPMSolverMultistep", 6, X | TRAILING | dict(lower_order_final=False, euler_at_final=True)),
    ("DPMSolverMultistep", 6, SD | dict(use_lu_lambdas=True)), ("DPMSolverMultistep", 7, COS | TRAILING | dict(lambda_min_clipped=-5.1)),
    ("DPMSolverMultistep", 6, SD | SDE), ("DPMSolverMultistep", 16, SD | SDE | V | dict(solver_order=3)),
    ("DPMSolverMultistep", 5, SD | SDE | KARRAS | dict(solver_type="heun")), ("DPMSolverMultistep", 4, V | ZERO | TRAILING | SDE),
    ("UniPCMultistep", 6, SD), ("UniPCMultistep", 7, SD | V | KARRAS | dict(solver_order=3)),
    ("UniPCMultistep", 6, dict(solver_type="bh1", final_sigmas_type="sigma_min", disable_corrector=[0, 2], predict_x0=False)),
    ("UniPCMultistep", 8, COS | LEADING | dict(solver_order=3, solver_type="midpoint")), ("UniPCMultistep", 5, EXP | X | TRAILING),
    ("LCM", 4, SD), ("LCM", 7, SD | V | CLIP), ("LCM", 1, dict(original_inference_steps=20, timestep_scaling=4.0)), ("LCM", 3, SD | X),
    ("FlowMatchEulerDiscrete", 5, {}), ("FlowMatchEulerDiscrete", 6, dict(shift=3.0)), ("FlowMatchEulerDiscrete", 4, dict(shift=2.0) | KARRAS),
    ("FlowMatchEulerDiscrete", 4, dict(stochastic_sampling=True)),
]


def net(xs, time):
    return 0.8 * torch.sin(1.3 * xs + time / 97) + 0.1 * xs


def step(scheduler, xs, time, generator):
    scaled = scheduler.scale_model_input(xs, time) if hasattr(scheduler, "scale_model_input") else xs
    options = dict(return_dict=False)
    if "generator" in scheduler.step.__code__.co_varnames:
        options["generator"] = generator
    return scheduler.step(net(scaled, time), time, xs, **options)[0]


@torch.no_grad()
def main():
    OUT.mkdir(parents=True, exist_ok=True)
    cases, tensors = [], {}
    for number, (name, steps, options) in enumerate(CASES):
        made = getattr(diffusers, f"{name}Scheduler")
        scheduler = made(**options)
        scheduler.set_timesteps(steps)
        # else a schedule whose first times are equal would begin at the second
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)
        generator = torch.Generator().manual_seed(7)
        noise = torch.randn(SHAPE, generator=generator)
        xs = noise * getattr(scheduler, "init_noise_sigma", 1.0)
        kept = dict(times=scheduler.timesteps.float(), begin=xs)
        after = []
        for time in scheduler.timesteps:
            xs = step(scheduler, xs, time, generator)
            after.append(xs)
        kept["steps"] = torch.stack(after)
        # a beginning in the middle, as an img2img pipeline makes it
        scheduler = made(**options)
        scheduler.set_timesteps(steps)
        first = (steps - int(steps * 0.6)) * scheduler.order
        times = scheduler.timesteps[first:]
        if len(times):
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(first)
            generator = torch.Generator().manual_seed(7)
            noise = torch.randn(SHAPE, generator=generator)
            data = torch.linspace(-1, 1, noise.numel()).reshape(SHAPE)
            if hasattr(scheduler, "add_noise"):
                after = [scheduler.add_noise(data, noise, times[:1])]
            else:
                after = [scheduler.scale_noise(data, times[:1], noise)]
            for time in times:
                after.append(step(scheduler, after[-1], time, generator))
            kept["noised"] = torch.stack(after)
        assert all(value.isfinite().all() for value in kept.values()), (number, name)
        tensors |= {f"{number}.{key}": value.contiguous().float() for key, value in kept.items()}
        config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
        config = {"_class_name": f"{name}Scheduler"} | config
        cases.append(dict(steps=steps, config=config))
    text = json.dumps(cases, indent=1).replace("-Infinity", '"-inf"')
    (OUT / "cases.json").write_text(text + "\n")
    save_file(tensors, OUT / "expected.safetensors")
    print(len(cases), "cases,", sum(file.stat().st_size for file in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
