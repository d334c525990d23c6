"""A plain ViT in PyTorch with timm's names, written for comparison, independent of our code."""

import torch
from torch import nn


class LayerScale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, d)), weights


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads, layer_scale):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)
        if layer_scale:
            self.ls1, self.ls2 = LayerScale(width), LayerScale(width)

    def forward(self, x):
        first, second = (self.ls1.gamma, self.ls2.gamma) if hasattr(self, "ls1") else (1, 1)
        attended, weights = self.attn(self.norm1(x))
        x = x + first * attended
        return x + second * self.mlp(self.norm2(x)), weights


class PatchEmbed(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)


class Vit(nn.Module):
    """Tokens are CLS, registers, patches. `cls_position`: pos_embed has a row for CLS."""

    def __init__(
        self, *, width, depth, heads, patch, side, layer_scale=False, registers=0, cls_position=True
    ):
        super().__init__()
        self.patch_embed = PatchEmbed(width, patch)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, side**2 + cls_position, width))
        if registers:
            self.reg_token = nn.Parameter(torch.empty(1, registers, width))
        self.blocks = nn.ModuleList(Block(width, heads, layer_scale) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.cls_position, self.registers = cls_position, registers
        generator = torch.Generator().manual_seed(0)
        for name, parameter in self.named_parameters():
            is_scale = "norm" in name and name.endswith("weight")
            nn.init.normal_(parameter, mean=1.0 if is_scale else 0.0, std=0.2, generator=generator)

    @torch.no_grad()
    def forward(self, images):
        """Normed tokens and the layers' attention, of images [batch, 3, height, width]."""
        patches = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
        cls, positions = self.cls_token, self.pos_embed
        if self.cls_position:
            cls, positions = cls + positions[:, :1], positions[:, 1:]
        parts = [cls.expand(len(images), -1, -1), patches + positions]
        if self.registers:
            parts.insert(1, self.reg_token.expand(len(images), -1, -1))
        x, layers = torch.cat(parts, 1), []
        for block in self.blocks:
            x, weights = block(x)
            layers.append(weights)
        return self.norm(x), torch.stack(layers)

    def statistics(self, images):
        """CLS's attention to the patches and RPAM's relation, by their definitions, in float64."""
        _, layers = self(images)
        mean = layers.double().mean(2)  # [layer, batch, token, token]: heads first
        prefix, n = 1 + self.registers, mean.shape[-1]
        relation = torch.stack([layer[:, 0] for layer in mean[:, :, 0:1] @ mean[..., prefix:] / n]).mean(0)
        return mean[:, :, 0, prefix:].mean(0), relation
