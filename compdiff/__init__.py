__version__ = "0.1.0"

from importlib import import_module

# Public names and the module each lives in. A module loads when one of its names is first used, so that
# `import compdiff` stays fast and reading a run never loads torch.
_HOMES = {
    "concepts": ["ConceptGraph", "ConceptVariable", "Nuisance", "split", "SPLITS"],
    "render": ["draw_images", "image_grid"],
    "data": ["FolderData", "RenderedData"],
    "unet": ["FastUNet", "PaperUNet", "TokenUNet"],
    "diffusion": ["ConceptPipeline", "Diffusion"],
    "probe": ["Probe", "judge", "train_probe"],
    "runs": ["RunConfig", "RunFolder", "preset"],
    "train": ["load_pipeline", "run"],
    "emergence": ["emergence_table"],
    "sweep": ["collect", "read_sweep", "sweep_status"],
    "experiments": ["Claim", "Experiment", "Verdict", "read_kept", "verdict_table"],
    "plots": ["plot_emergence", "plot_graph", "plot_measures", "plot_samples", "plot_toy"],
    "stepper": ["Stepper", "stepper_html", "watch", "write_html"],
    "report": ["write_report"],
    "explorer": ["explore"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str):
    if name in _HOMES:
        return import_module(f"compdiff.{name}")
    if name in _HOME_OF:
        return getattr(import_module(f"compdiff.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'compdiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_HOME_OF})
