"""Networks of every kind: what can be removed, and that it may be removed round by round."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.pruning import kept_channels, prunable, prune_once
from pdsearch.pruning.channels.finding import _failing as failing
from pdsearch.pruning.channels.finding import find_channels
from pdsearch.pruning.channels.remove import shrink
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams

IMAGE = torch.zeros(1, 3, 8, 8)
WIDTH = 8


class Net(nn.Module):
    """Layers by name, and the function that calls them."""

    def __init__(self, run: Callable[[nn.Module, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run

    def forward(self, images: Tensor) -> Tensor:
        return self.run(self, images)


def conv(read: int = WIDTH, made: int = WIDTH, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(read, made, 3, padding=1, groups=groups)


def ending(width: int = WIDTH) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


def plain(*middle: nn.Module, width: int = WIDTH) -> nn.Module:
    return nn.Sequential(conv(3), *middle, nn.ReLU(), conv(), nn.ReLU(), ending(width))


class Attention(nn.Module):
    """Attention as timm writes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, width // heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        images, count, _ = tokens.shape
        shape = (images, count, 3, self.num_heads, self.head_dim)
        query, key, value = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        answer: Tensor = self.proj(mixed.reshape(images, count, -1))
        return answer


class Transformer(nn.Module):
    """A class token, positions, and a body over 4 x 4 patches; WIDTH is 4 heads of 4."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.patch, self.body, self.head = nn.Conv2d(3, 16, 4, 4), body, nn.Linear(16, 5)
        self.token, self.places = (
            nn.Parameter(torch.zeros(1, 1, 16)),
            nn.Parameter(torch.ones(1, 5, 16) * 0.1),
        )

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patch(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), tokens], 1) + self.places
        answer: Tensor = self.head(self.body(tokens)[:, 0])
        return answer


def block(attend: Callable[[nn.Module, Tensor], Tensor], attention: nn.Module) -> nn.Module:
    mlp = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))

    def run(net: nn.Module, tokens: Tensor) -> Tensor:
        tokens = tokens + attend(net, net.get_submodule("norm")(tokens))
        answer: Tensor = tokens + net.get_submodule("mlp")(tokens)
        return answer

    return Net(run, norm=nn.LayerNorm(16), attention=attention, mlp=mlp)


def tied() -> nn.Module:
    first, second = conv(), conv()
    second.weight = first.weight
    return nn.Sequential(conv(3), nn.ReLU(), first, second, ending())


def halves(net: nn.Module, images: Tensor) -> Tensor:
    maps = torch.relu(net.get_submodule("stem")(images))
    left, right = maps.chunk(2, 1)
    maps = torch.cat([net.get_submodule("left")(left), right], 1)
    count, width, high, wide = maps.shape
    maps = maps.view(count, 2, width // 2, high, wide).transpose(1, 2).reshape(count, width, high, wide)
    answer: Tensor = net.get_submodule("ending")(torch.relu(maps))
    return answer


def gated(net: nn.Module, images: Tensor) -> Tensor:
    maps = net.get_submodule("stem")(images)
    gate = net.get_submodule("gate")(functional.adaptive_avg_pool2d(maps, 1)).sigmoid()
    answer: Tensor = net.get_submodule("ending")(
        torch.cat([maps * gate, functional.pad(maps, (0, 0, 0, 0, 2, 2))], 1)
    )
    return answer


def own(net: nn.Module, images: Tensor) -> Tensor:
    maps = functional.conv2d(images, net.get_submodule("stem").weight, padding=1)  # type: ignore[arg-type]
    answer: Tensor = net.get_submodule("head")(functional.max_pool2d(maps.relu_(), 4).flatten(1))
    return answer


def blurred(net: nn.Module, images: Tensor) -> Tensor:
    maps = net.get_submodule("stem")(images)
    kernel = images.new_ones(maps.shape[1], 1, 3, 3) / 9
    answer: Tensor = net.get_submodule("ending")(functional.conv2d(maps, kernel, groups=maps.shape[1]))
    return answer


def moved(net: nn.Module, images: Tensor) -> Tensor:
    maps = net.get_submodule("stem")(images).flip(3).roll(1, 2)
    maps = maps[:, :, torch.arange(maps.shape[2]).flip(0)].repeat(1, 2, 1, 1)
    answer: Tensor = net.get_submodule("ending")(torch.relu(maps))
    return answer


def sliced(net: nn.Module, images: Tensor) -> Tensor:
    maps = net.get_submodule("stem")(images)
    half = maps.shape[1] // 2
    left, right = net.get_submodule("left")(maps[:, :half]), net.get_submodule("right")(maps[:, half:])
    mixed = torch.relu(left + right)
    corner = mixed[:, :, torch.tensor([0, 1]), torch.tensor([0, 1])]
    return torch.as_tensor(net.get_submodule("head")(corner.mean(2)))


def responding(net: nn.Module, images: Tensor) -> Tensor:
    """ConvNeXt-V2's global response normalisation, after a layer normalisation over channels written by hand."""
    maps = net.get_submodule("stem")(images)
    maps = (maps - maps.mean(1, keepdim=True)) / (maps.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    maps = net.get_submodule("wide")(maps * net.get_parameter("scale")).relu()
    size = maps.norm(p=2, dim=(2, 3), keepdim=True)
    share = size / (size.mean(1, keepdim=True) + 1e-6)
    gamma, beta = (net.get_parameter(name).view(1, -1, 1, 1) for name in ("gamma", "beta"))
    answer: Tensor = net.get_submodule("ending")(maps + torch.addcmul(beta, gamma, maps * share))
    return answer


def response() -> nn.Module:
    net = Net(responding, stem=conv(3), wide=conv(WIDTH, 12), ending=ending(12))
    net.scale = nn.Parameter(torch.ones(WIDTH, 1, 1))
    net.gamma, net.beta = nn.Parameter(torch.zeros(12)), nn.Parameter(torch.zeros(12))
    return net


def read_row_by_row(net: nn.Module, images: Tensor) -> Tensor:
    rows = net.get_submodule("stem")(images).mean(3).transpose(1, 2)
    mixed, state = net.get_submodule("layers")(rows)[0], None
    for row in mixed.unbind(1):
        state = net.get_submodule("cell")(row, state)
    answer: Tensor = net.get_submodule("head")(state)
    return answer


def recurrent(layers: nn.Module, width: int) -> nn.Module:
    return Net(read_row_by_row, stem=conv(3), layers=layers, cell=nn.GRUCell(width, 6), head=nn.Linear(6, 5))


RECURRENT = {"stem.weight": 8, "layers.weight_ih_l0": 10, "cell.weight_ih": 6}

NETWORKS: dict[str, tuple[nn.Module, dict[str, int]]] = {
    "head first": (Net(lambda n, x: n.head(n.stem(x)), head=ending(), stem=conv(3)), {"stem.weight": 8}),  # type: ignore[operator]
    "unread": (Net(lambda n, x: n.head(n.stem(x)), stem=conv(3), head=ending(), no=conv()), {"stem.weight": 8}),  # type: ignore[operator]
    "tied": (tied(), {"0.weight": 8}),
    "groups": (plain(nn.GroupNorm(4, WIDTH)), {"0.weight": 4, "3.weight": 8}),
    "a group each": (plain(nn.GroupNorm(WIDTH, WIDTH)), {"0.weight": 8, "3.weight": 8}),
    "one group, nothing learnt": (plain(nn.GroupNorm(1, WIDTH, affine=False)), {"3.weight": 8}),
    "one group": (plain(nn.GroupNorm(1, WIDTH)), {"0.weight": 8, "3.weight": 8}),
    "instances": (plain(nn.InstanceNorm2d(WIDTH, affine=True)), {"0.weight": 8, "3.weight": 8}),
    "grouped": (plain(conv(groups=4)), {"0.weight": 4, "3.weight": 8}),
    "transposed": (plain(nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2)), {"0.weight": 8, "3.weight": 8}),
    "parametric": (plain(nn.PReLU(WIDTH)), {"0.weight": 8, "3.weight": 8}),
    "shuffled": (Net(halves, stem=conv(3), left=conv(4, 4), ending=ending()), {"stem.weight": 4}),
    "gated": (Net(gated, stem=conv(3), gate=conv(), ending=ending(20)), {"stem.weight": 8}),
    "shuffled into space": (
        nn.Sequential(conv(3, 16), nn.PixelShuffle(2), conv(4), nn.PixelUnshuffle(2), conv(32), ending()),
        {"0.weight": 4, "2.weight": 8, "4.weight": 8},
    ),
    "moved": (Net(moved, stem=conv(3), ending=ending(2 * WIDTH)), {"stem.weight": 8}),
    "sliced": (
        Net(sliced, stem=conv(3, 2 * WIDTH), left=conv(), right=conv(), head=nn.Linear(WIDTH, 5)),
        {"stem.weight": 8},
    ),
    "linear units": (nn.Sequential(conv(3, 16), nn.GLU(1), conv(), ending()), {"0.weight": 8, "2.weight": 8}),
    "unfolded": (
        nn.Sequential(conv(3), nn.Unfold(2, stride=2), nn.Flatten(), nn.Linear(4 * 16 * WIDTH, 5)),
        {"0.weight": 8},
    ),
    "response": (response(), {"stem.weight": 8, "wide.weight": 12}),
    "root mean square": (
        Transformer(nn.Sequential(nn.RMSNorm(16), nn.Linear(16, 24), nn.RMSNorm(24), nn.Linear(24, 16))),
        {"patch.weight": 16, "body.1.weight": 24, "body.3.weight": 16},
    ),
    "recurrent, gated": (recurrent(nn.GRU(8, 10, 2, batch_first=True, bidirectional=True), 20), RECURRENT),
    "recurrent": (recurrent(nn.LSTM(8, 10, batch_first=True), 10), RECURRENT),
    "blurred": (Net(blurred, stem=conv(3), ending=ending()), {"stem.weight": 8}),
    "functional": (Net(own, stem=conv(3), head=nn.Linear(4 * WIDTH, 5)), {"stem.weight": 8}),
    "timm": (
        Transformer(block(lambda n, x: n.attention(x), Attention(16, 4))),  # type: ignore[operator]
        {"patch.weight": 16, "body.attention.qkv.weight": 4, "body.mlp.1.weight": 24},
    ),
    "multihead": (
        Transformer(
            block(lambda n, x: n.attention(x, x, x)[0], nn.MultiheadAttention(16, 4, batch_first=True))  # type: ignore[operator]
        ),
        {"patch.weight": 16, "body.attention.in_proj_weight": 4, "body.mlp.1.weight": 24},
    ),
    "encoder": (
        Transformer(nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 24, batch_first=True), 1)),
        {"patch.weight": 16, "body.layers.0.self_attn.in_proj_weight": 4, "body.layers.0.linear1.weight": 24},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", NETWORKS)
def test_channels_heads_and_widths_are_found_and_go_in_two_rounds(kind: str) -> None:
    net, sizes = copy.deepcopy(NETWORKS[kind][0]).eval(), NETWORKS[kind][1]
    channels = find_channels(net, IMAGE)
    assert {tie.name: tie.size for tie in channels.ties} == sizes
    assert failing(net, IMAGE, channels) == {}
    first = {name: tuple(range(1, size)) for name, size in sizes.items()}
    second = {name: left[-max(1, 2 * len(left) // 3) :] for name, left in first.items()}
    once, twice = copy.deepcopy(net), copy.deepcopy(net)
    shrink(once, channels, kept=second)
    shrink(twice, channels, kept=first)
    shrink(twice, channels, kept=second, before=first)
    with torch.no_grad():
        images = torch.randn(2, 3, 8, 8)
        torch.testing.assert_close(once(images), twice(images))
        torch.testing.assert_close(copy.deepcopy(once)(images), twice(images))
    assert sum(w.numel() for w in prunable(once).values()) < sum(w.numel() for w in prunable(net).values())
    once.train()(images).sum().backward()


@pytest.mark.parametrize(("multiple", "heads"), [(4, 1), (8, 2), (16, 4)])
def test_a_head_counts_as_many_channels_as_it_is_wide(multiple: int, heads: int) -> None:
    net = copy.deepcopy(NETWORKS["encoder"][0]).eval()
    mask = prune_once(
        net,
        method=methods.get("filter_l2"),
        params=NoParams(),
        batches=[(IMAGE, torch.zeros(1, dtype=torch.int64))],
        generator=torch.Generator(),
        sparsity=0.75,
        scope="layer",
        round_to=multiple,
    )
    kept = kept_channels(mask, find_channels(net, IMAGE).ties)
    assert len(kept["body.layers.0.self_attn.in_proj_weight"]) == heads
    assert len(kept["body.layers.0.linear1.weight"]) % multiple in (0, 24 % multiple)


def test_what_the_code_of_a_layer_does_not_follow_stays_whole_and_the_rest_goes() -> None:
    """Heads whose width is the embedding's divided by their number cannot go, nor can the embedding."""

    def attend(net: nn.Module, tokens: Tensor) -> Tensor:
        images, count, width = tokens.shape
        mixed = net.get_submodule("attention.qkv")(tokens).reshape(images, count, 3, 4, width // 4)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        answer: Tensor = net.get_submodule("attention.proj")(mixed.reshape(images, count, width))
        return answer

    found = find_channels(Transformer(block(attend, Attention(16, 4))), IMAGE)
    assert [tie.name for tie in found.ties] == ["body.mlp.1.weight"]
    assert found.whole["patch.weight"].startswith("its code does not run with fewer")
    assert "body.attention.qkv.weight" in found.whole


@pytest.mark.parametrize(
    ("operation", "reason"), [("sort", "sort is not known"), ("max", "a mean, sum or maximum")]
)
def test_a_reason_names_the_operation(operation: str, reason: str) -> None:
    def run(net: nn.Module, images: Tensor) -> Tensor:
        maps = net.get_submodule("stem")(images)
        changed = maps.sort(1)[0] if operation == "sort" else maps - maps.max(1, keepdim=True)[0]
        answer: Tensor = net.get_submodule("ending")(net.get_submodule("next")(changed))
        return answer

    found = find_channels(Net(run, stem=conv(3), next=conv(), ending=ending()), IMAGE)
    assert [tie.name for tie in found.ties] == ["next.weight"]
    assert reason in found.whole["stem.weight"]
