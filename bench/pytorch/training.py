"""The peer of `npm run bench -- training`: one training step of the same network in PyTorch.

Reads commands from standard input, a line each, and answers each with a line of JSON:
  load FILE   takes the parameter vector from FILE (float32, graph order) and answers the number of parameters
  batch FILE  takes a batch from FILE: images uint8 [B,3,H,W], then labels uint8 [B,H,W]
  check FILE  writes the gradient as float32 to FILE, without a step, and answers the loss
  step        loss, gradient and Adam; answers the loss and the milliseconds
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
HEAD = 256
IGNORE = 255


def convolution(inputs, outputs, kernel, stride=1, dilation=1, groups=1, activation=None):
    padding = dilation if kernel == 3 else 0
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride, dilation):
        super().__init__()
        hidden = inputs * expansion
        layers = [] if expansion == 1 else [convolution(inputs, hidden, 1, activation=nn.ReLU6)]
        layers.append(convolution(hidden, hidden, 3, stride, dilation, hidden, nn.ReLU6))
        layers.append(convolution(hidden, outputs, 1))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.residual else y


class DeepLab(nn.Module):
    """buildDeepLab of models/build.ts at width multiplier 1."""

    def __init__(self, classes, output_stride):
        super().__init__()
        blocks = [convolution(3, 32, 3, 2, activation=nn.ReLU6)]
        channels, stride, dilation = 32, 2, 1
        for expansion, outputs, repeats, first in STAGES:
            for i in range(repeats):
                wanted = first if i == 0 else 1
                taken = 1 if stride * wanted > output_stride else wanted
                blocks.append(Bottleneck(channels, outputs, expansion, taken, dilation))
                channels, stride = outputs, stride * taken
                if taken < wanted:
                    dilation *= wanted
        self.backbone = nn.Sequential(*blocks)
        self.pool = convolution(channels, HEAD, 1, activation=nn.ReLU)
        self.aspp = convolution(channels, HEAD, 1, activation=nn.ReLU)
        self.projection = convolution(2 * HEAD, HEAD, 1, activation=nn.ReLU)
        self.logits = nn.Conv2d(HEAD, classes, 1)

    def forward(self, images):
        x = self.backbone(images / 127.5 - 1)
        pooled = self.pool(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.logits(self.projection(torch.cat([pooled, self.aspp(x)], 1)))


def main():
    parser = argparse.ArgumentParser()
    for name, default in [('width', 512), ('height', 256), ('classes', 21), ('batch', 8), ('threads', 2)]:
        parser.add_argument(f'--{name}', type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    # Frozen statistics, as while adapting; scale and shift are trained.
    model = DeepLab(options.classes, 16).eval()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    size = (options.batch, options.height, options.width)
    images = torch.zeros(size[0], 3, *size[1:], dtype=torch.uint8)
    labels = torch.zeros(size, dtype=torch.uint8)

    def gradients():
        optimiser.zero_grad(set_to_none=True)
        logits = functional.interpolate(
            model(images.float()), size=size[1:], mode='bilinear', align_corners=False
        )
        loss = functional.cross_entropy(logits, labels.long(), ignore_index=IGNORE)
        loss.backward()
        return loss

    print(json.dumps({'torch': torch.__version__}), flush=True)
    for line in sys.stdin:
        command, _, path = line.strip().partition(' ')
        if command == 'load':
            vector = torch.from_numpy(np.fromfile(path, np.float32))
            nn.utils.vector_to_parameters(vector, model.parameters())
            answer = {'parameters': sum(p.numel() for p in model.parameters())}
        elif command == 'batch':
            data = torch.from_numpy(np.fromfile(path, np.uint8))
            images = data[: images.numel()].reshape(images.shape)
            labels = data[images.numel() :].reshape(size)
            answer = {}
        elif command == 'check':
            loss = gradients()
            flat = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
            flat.numpy().tofile(path)
            answer = {'loss': loss.item()}
        elif command == 'step':
            start = time.perf_counter()
            loss = gradients().item()
            optimiser.step()
            answer = {'loss': loss, 'ms': 1e3 * (time.perf_counter() - start)}
        else:
            answer = {'error': f'unknown command {command}'}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
