"""A small patch model, and inputs for it."""

import torch

from manivideo_ros.model.config import ModelConfig, PatchTrunk
from manivideo_ros.model.patch.network import FrameConditions, ManiVideoNet

SMALL = ModelConfig(
    preset='small',
    image_size=64,
    num_points=32,
    trunk=PatchTrunk(
        channels=(32, 64, 64),
        skip_channels=(16, 32),
        guider_channels=(8, 16, 32),
        embed_dim=32,
        time_dim=64,
    ),
)


def awake(config: ModelConfig = SMALL) -> ManiVideoNet:
    """A network whose zero-initialised parts have random weights, as after training.

    All weights are representable in fp16: its checkpoint holds exactly this network.
    """
    torch.manual_seed(0)
    network = ManiVideoNet(config).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    network.load_state_dict({name: value.half() for name, value in network.state_dict().items()})
    return network


def conditions_of(config: ModelConfig, frames: int, seed: int = 1) -> FrameConditions:
    generator = torch.Generator().manual_seed(seed)
    (width, height), layers = config.size, config.layers
    normals = torch.randn(frames, layers, 3, height, width, generator=generator)
    confidence = torch.rand(frames, layers, height, width, generator=generator)
    return FrameConditions(
        torch.nn.functional.normalize(normals, dim=2),
        confidence * (confidence > 0.5),
        torch.rand(frames, 3, height, width, generator=generator),
    )


def references(config: ModelConfig) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    r = config.reference_size

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    return (
        draw(1, 6, 3, r, r),
        draw(1, 3, r, r),
        draw(1, 3, r, r),
        draw(1, config.num_points, 3) * 0.1,
    )


def latents_of(config: ModelConfig, frames: int = 1) -> torch.Tensor:
    noise = torch.randn(
        1, config.latent_channels, *config.latent_size, generator=torch.Generator().manual_seed(3)
    )
    return noise.repeat(frames, 1, 1, 1)


def skeleton_of(config: ModelConfig) -> torch.Tensor:
    size = config.image_size
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(4))
