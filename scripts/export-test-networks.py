#!/usr/bin/env python3
"""Exports the small networks under tests/onnx/ from PyTorch, with both of its exporters, and their logits.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch onnx onnxscript numpy safetensors
    /tmp/venv/bin/python scripts/export-test-networks.py            # writes tests/onnx/
    /tmp/venv/bin/python scripts/export-test-networks.py --out DIR NAME...   # some of them, elsewhere

Each network NAME becomes NAME.script.onnx (TorchScript, dynamo=False) and NAME.dynamo.onnx (dynamo=True);
cases.safetensors holds, for each, `NAME.logits` for the images `images.CxHxW`.
"""

import argparse
import pathlib
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F

NETWORKS = {}


def network(*shape, opset=18, batch=False, only=None):
    """Registers a network for images of this shape (channels, height, width)."""

    def register(build):
        NETWORKS[build.__name__] = (build, shape or (3, 12, 12), opset, batch, only)
        return build

    return register


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Horner(nn.Module):
    """a + x (b + x (c + x d)), the coefficients parameters of the module."""

    def __init__(self, *coefficients):
        super().__init__()
        self.coefficients = nn.ParameterList([nn.Parameter(torch.tensor(float(c))) for c in coefficients])

    def forward(self, x):
        result = self.coefficients[-1] * x
        for c in list(self.coefficients)[-2:0:-1]:
            result = (result + c) * x
        return result + self.coefficients[0]


class Buffers(nn.Module):
    """c[0] + c[1] x + c[2] x^2 from one buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("c", torch.tensor([0.1992, 0.5002, 0.1997]))

    def forward(self, x):
        return self.c[0] + self.c[1] * x + self.c[2] * x**2


class Residual(nn.Module):
    """A basic block; `shortcut` says what the other path does where the shape changes."""

    def __init__(self, inputs, outputs, stride, shortcut, activation=nn.ReLU):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act1, self.act2 = activation(), activation()
        more = outputs - inputs
        changes = stride > 1 or more > 0
        if not changes:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            pads = (0, 0, 0, 0, more // 2, more - more // 2)
            self.shortcut = Apply(lambda x: F.pad(x[:, :, ::stride, ::stride], pads))
        elif shortcut == "A-cat":
            self.shortcut = Apply(lambda x: self.concatenated(x[:, :, ::stride, ::stride], more))
        elif shortcut == "A-pool":
            self.shortcut = Apply(lambda x: self.concatenated(F.avg_pool2d(x, 1, stride), more))
        else:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    @staticmethod
    def concatenated(x, more):
        zeros = torch.zeros(x.shape[0], more, x.shape[2], x.shape[3])
        return torch.cat([x, zeros], 1)

    def forward(self, x):
        y = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(y)) + self.shortcut(x))


class PreActivation(nn.Module):
    def __init__(self, channels, activation=nn.ReLU):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.act1, self.act2 = activation(), activation()

    def forward(self, x):
        y = self.conv1(self.act1(self.bn1(x)))
        return x + self.conv2(self.act2(self.bn2(y)))


def resnet(shortcut, activation=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), activation(),
        Residual(4, 4, 1, shortcut, activation), Residual(4, 8, 2, shortcut, activation),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


def head(channels, activation=nn.ReLU):
    return [activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)]


@network()
def plain_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5))


@network()
def batch_norm_after_activation():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(6), nn.AvgPool2d(2),
        nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(216, 8), nn.BatchNorm1d(8), nn.ReLU(),
        nn.Linear(8, 5))


@network(2, 9, 14)
def padding_modes():
    modes = ["zeros", "reflect", "replicate", "circular"]
    layers = []
    for index, mode in enumerate(modes):
        layers += [nn.Conv2d(2 if index == 0 else 3, 3, 3, padding=1, padding_mode=mode), nn.ReLU()]
    layers += [nn.Conv2d(3, 3, (4, 2), padding="same"), nn.ReLU()]
    layers += [nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(3, 4, 3, stride=2)]
    return nn.Sequential(*layers, *head(4))


@network(3, 13, 11)
def average_pools():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AvgPool2d(3, 2, 1), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d((3, 2), (2, 1)), nn.AvgPool2d(2, 2, ceil_mode=True),
        nn.Flatten(), nn.Linear(8, 5))


@network(3, 13, 11)
def max_pools():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 1)), nn.Flatten(), nn.Linear(12, 5))


@network(3, 12, 12)
def adaptive_pool():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5))


@network()
def resnet_a():
    return resnet("A")


@network()
def resnet_a_cat():
    return resnet("A-cat")


@network()
def resnet_b():
    return resnet("B")


@network()
def resnet_polynomial():
    return resnet("A-pool", lambda: Horner(0.3145, 0.5, 0.15625, 0.0, -0.0029))


@network(batch=True)
def pre_activation():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), PreActivation(4), PreActivation(4), nn.BatchNorm2d(4), *head(4))


@network()
def pre_activation_polynomial():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), PreActivation(4, Buffers), nn.BatchNorm2d(4), *head(4, Buffers))


@network()
def pre_activation_polynomial_styles():
    """Polynomials of a batch norm that no convolution can take in, and a coefficient that 20 bits hold badly."""
    blocks = [
        PreActivation(4, lambda: Horner(0.1, 0.5, 0.2, 0.01)),
        PreActivation(4, lambda: Apply(lambda x: 0.1 + 0.5 * x + 0.2 * x * x)),
        PreActivation(4, lambda: Powers(0.2, 0.4, 0.1, 0.000005)),
    ]
    return nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), *blocks, nn.BatchNorm2d(4), *head(4, lambda: Horner(0.1, 0.5, 0.2)))


@network()
def polynomial_styles():
    styles = [
        Apply(lambda x: 0.1992 + 0.5002 * x + 0.1997 * x**2),
        Apply(lambda x: 0.3 + 0.5 * x + 0.15 * x**2 - 0.003 * x**4),
        Apply(lambda x: torch.pow(x, 3) * 0.01 + torch.pow(x, 2) / 4 + x / 2),
        Horner(0.1, 0.5, 0.2, 0.01),
        Buffers(),
        Apply(lambda x: (x * x) * 0.25 + x * 0.5 + 0.1),
        Apply(lambda x: torch.square(x)),
        Apply(lambda x: -(x * x * x * 0.02) + (x + 1) * (x - 1) * 0.1 + x),
    ]
    layers, channels = [], 3
    for style in styles:
        layers += [nn.Conv2d(channels, 3, 3, padding=1, bias=len(layers) % 4 == 0), style]
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(27, 5))


class Powers(nn.Module):
    """The sum of c[i] x**i, from x**0 on."""

    def __init__(self, *coefficients):
        super().__init__()
        self.coefficients = nn.Parameter(torch.tensor(coefficients))

    def forward(self, x):
        return sum(c * x**i for i, c in enumerate(self.coefficients))


@network()
def sum_of_powers():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), Powers(0.1, 0.5, 0.2), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), Powers(0.2, 0.4, 0.1, 0.01, 0.001),
        nn.Flatten(), nn.Linear(256, 5))


@network()
def batch_norm_of_a_vector():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(100), nn.ReLU(), nn.Linear(100, 8),
        nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5))


@network()
def weight_normed():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(400, 5))


@network()
def hybrid():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), Buffers(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU6(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3), Buffers(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5))


class Flattening(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.linear = nn.Linear(4 if how == "mean" else 100, 5, bias=how != "view")

    def forward(self, x):
        x = torch.relu(self.conv(x))
        if self.how == "view":
            x = x.view(x.size(0), -1)
        elif self.how == "reshape":
            x = x.reshape(-1, 100)
        elif self.how == "mean":
            x = x.mean([2, 3])
        else:
            x = torch.flatten(x, 1)
        return self.linear(x)


@network(batch=True)
def flatten_view():
    return Flattening("view")


@network()
def flatten_reshape():
    return Flattening("reshape")


@network(batch=True)
def flatten_mean():
    return Flattening("mean")


@network(opset=13)
def vgg():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Dropout(),
        nn.Flatten(), nn.Linear(54, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 5))


@network(1, 8, 6)
def mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(),
        nn.Linear(12, 5))


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.rest = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *head(4))

    def forward(self, x):
        return self.rest((x - self.mean) / self.std)


@network()
def normalised_input():
    return Normalised()


@network(opset=13)
def grouped_and_dilated():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6), nn.ReLU6(),
        nn.Conv2d(6, 4, 1), nn.ReLU6(), nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2), nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=(2, 1)), *head(4))


class Dense(nn.Module):
    """DenseNet's concatenations."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))
        self.third = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 2, 3, padding=1))
        self.last = nn.Sequential(nn.BatchNorm2d(8), *head(8))

    def forward(self, x):
        x = self.first(x)
        x = torch.cat([x, self.second(x)], 1)
        x = torch.cat([x, self.third(x)], 1)
        return self.last(x)


@network()
def dense_net():
    return Dense()


@network(only="dynamo")
def external_data():
    return nn.Sequential(nn.Conv2d(3, 4, 3), *head(4))


def settle(model, shape):
    """Batch norms with statistics of their own, weights of a size that keeps values near one."""
    model.train()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = None
    for _ in range(3):
        model(torch.rand(16, *shape) * 2 - 0.5)
    model.eval()


def export(name, out):
    build, shape, opset, batch, only = NETWORKS[name]
    torch.manual_seed(sum(map(ord, name)))
    model = build()
    with torch.no_grad():
        settle(model, shape)
        images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(7))
        logits = model(images)
        for kind in ["script", "dynamo"] if only is None else [only]:
            options = {"opset_version": opset if kind == "script" else 18, "dynamo": kind == "dynamo"}
            if kind == "dynamo":
                options |= {"external_data": name == "external_data", "verbose": False}
                if batch:
                    options["dynamic_shapes"] = ({0: torch.export.Dim("batch", min=1, max=64)},)
            elif batch:
                options |= {"input_names": ["image"], "dynamic_axes": {"image": {0: "batch"}}}
            path = out / f"{name}.{kind}.onnx"
            torch.onnx.export(model, (images[:2] if batch else images[:1],), str(path), **options)
            strip(path)
    return images, logits


def strip(path):
    """Removes stack traces and intermediate shapes: half of a small file, and of no use to an importer."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    del model.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for item in [*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        item.doc_string = ""
        del item.metadata_props[:]
    path.write_bytes(model.SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "tests" / "onnx")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    from safetensors.torch import load_file, save_file

    warnings.filterwarnings("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    stored = args.out / "cases.safetensors"
    cases, failed = load_file(stored) if args.names and stored.exists() else {}, []
    for name in args.names or NETWORKS:
        try:
            images, logits = export(name, args.out)
        except Exception as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
            continue
        cases["images." + "x".join(map(str, images.shape[1:]))] = images.contiguous()
        cases[f"{name}.logits"] = logits.contiguous()
        print(name, flush=True)
    save_file(cases, str(stored))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
