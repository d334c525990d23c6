"""LCTR in PyTorch from the paper's formulas, with the cost structure of the published code.

Every layer's attention matrix is stored, RPAM's map is computed from all of them, and CDM convolves one
sample at a time, for every class, with a kernel mixed for that sample. Parameter names are the published
ones.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lctr_jax.models.spec import ModelSpec


class Attention(nn.Module):
    """Softmax attention that returns its weights."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.qkv, self.proj = nn.Linear(spec.width, 3 * spec.width), nn.Linear(spec.width, spec.width)
        self.heads, self.scale = spec.heads, (spec.width // spec.heads) ** -0.5

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attended tokens [b, n, d] and the weights [b, heads, n, n]."""
        batch, count, width = tokens.shape
        query, key, value = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) * self.scale).softmax(-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(batch, count, width)), weights


class Mlp(nn.Module):
    """Two dense layers with exact GELU between them."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        hidden = spec.width * spec.mlp_ratio
        self.fc1, self.fc2 = nn.Linear(spec.width, hidden), nn.Linear(hidden, spec.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply the MLP to each token."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """Pre-norm transformer block with drop path."""

    def __init__(self, spec: ModelSpec, drop_rate: float):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(spec.width, eps=1e-6) for _ in range(2))
        self.attn, self.mlp, self.drop_rate = Attention(spec), Mlp(spec), drop_rate

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens [b, n, d] and the attention weights [b, heads, n, n]."""
        attended, weights = self.attn(self.norm1(tokens))
        tokens = tokens + self._drop(attended)
        return tokens + self._drop(self.mlp(self.norm2(tokens))), weights

    def _drop(self, branch: Tensor) -> Tensor:
        if not self.training or not self.drop_rate:
            return branch
        keep = 1 - self.drop_rate
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep).div_(keep)


class PatchEmbed(nn.Module):
    """A convolution over non-overlapping patches."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.proj = nn.Conv2d(3, spec.width, spec.patch_size, spec.patch_size)


class Routing(nn.Module):
    """The experts' weights from pooled cues."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.fc, self.fc2 = nn.Linear(spec.width, spec.experts), nn.Linear(spec.width, spec.experts)

    def forward(self, cues: Tensor) -> Tensor:
        """Compute the weights [b, experts] in (0, 1) from cues [b, d, gh, gw]."""
        return torch.sigmoid(self.fc(cues.mean((2, 3))) + self.fc2(cues.amax((2, 3))))


class DynamicConvolution(nn.Module):
    """CDM's convolution of each sample with its own kernel."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(spec.experts, spec.num_classes, spec.width, 3, 3))
        self.bias = nn.Parameter(torch.empty(spec.num_classes))
        bound = (9 * spec.width * spec.num_classes) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        self._routing_fn_two = Routing(spec)

    def forward(self, patches: Tensor, cues: Tensor) -> Tensor:
        """Compute the maps of all classes, [b, k, gh, gw]."""
        maps = []
        for sample, weights in zip(patches, self._routing_fn_two(cues), strict=True):
            kernel = (weights[:, None, None, None, None] * self.weight).sum(0)
            maps.append(functional.conv2d(sample[None], kernel, self.bias, padding=1))
        return torch.cat(maps)


class TorchLCTR(nn.Module):
    """Chen et al., AAAI 2022; with random weights until a checkpoint is loaded."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.patch_embed, self.norm = PatchEmbed(spec), nn.LayerNorm(spec.width, eps=1e-6)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, spec.width))
        positions = 1 + spec.grid[0] * spec.grid[1]
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, spec.width))
        rates = torch.linspace(0, spec.drop_path, spec.depth).tolist()
        self.blocks = nn.ModuleList(Block(spec, rate) for rate in rates)
        self.conv3x3 = nn.Conv2d(spec.width, spec.width, 3, padding=1)
        self.CDM = DynamicConvolution(spec)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute logits [b, k], maps F [b, k, gh, gw] and RPAM's [b, gh, gw] of images [b, 3, h, w]."""
        embedded = self.patch_embed.proj(images)
        grid = embedded.shape[2:]
        tokens = torch.cat(
            [self.cls_token.expand(len(images), -1, -1), embedded.flatten(2).transpose(1, 2)], 1
        )
        tokens, layers = tokens + self.pos_embed, []
        for block in self.blocks:
            tokens, weights = block(tokens)
            layers.append(weights)
        attention = torch.stack(layers).mean(2)  # [layers, b, n, n], mean over heads
        patches = self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, grid)
        weak = 1 - attention[:, :, 0, 1:].mean(0).unflatten(1, grid)
        maps = self.CDM(patches, self.conv3x3(patches * weak[:, None]))
        logits = functional.avg_pool2d(maps, 3, 1, 1).mean((2, 3))
        with torch.no_grad():
            relation = (attention[:, :, :1] @ attention[..., 1:] / attention.shape[-1]).mean((0, 2))
        return logits, maps, relation.unflatten(1, grid)


def autocast(dtype: str, device: str = "cpu") -> torch.autocast:
    """Return PyTorch's autocast context for "cpu" or "cuda"; disabled for "float32"."""
    return torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16")


def localization_map(model: TorchLCTR, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute logits [b, k] and the predicted class's map [b, gh, gw], as in the published evaluation."""
    logits, maps, relation = model(images)
    chosen = maps[torch.arange(len(images)), logits.argmax(1)]
    return logits, relation * chosen.relu()


def train_step(
    model: TorchLCTR,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    dtype: str = "float32",
) -> Tensor:
    """Take one step of cross entropy with the forward pass in `dtype`, and return the loss."""
    with autocast(dtype, images.device.type):
        loss = functional.cross_entropy(model(images)[0].float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()
