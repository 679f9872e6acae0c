"""Two skills of a small transformer, asked in four ways."""

from pathlib import Path

import pandas as pd
import torch
from torch import nn

from conceptspace.analysis.reading import read_trajectory
from conceptspace.presentation.table_page import analyze

TRAINED = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])  # (reverse, shift); never both


def solved(digits, skills):  # (B, 5) digits, (B, 2) skills
    return (torch.where(skills[:, :1] > 0, digits.flip(1), digits) + (skills[:, 1:] > 0)) % 10


class Transformer(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.digit, self.skill = nn.Embedding(10, width), nn.Parameter(torch.randn(2, width))
        self.place = nn.Parameter(torch.randn(7, width) / 4)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.logits = nn.Linear(width, 10)

    def forward(self, digits, skills):
        tokens = torch.cat([skills[..., None] * self.skill, self.digit(digits)], 1) + self.place
        return self.logits(self.layers(tokens))[:, 2:]


def ask(model, digits, *skills):
    return model(digits, torch.tensor([skills]).expand(len(digits), 2)).argmax(-1)


WAYS = {
    "plain": lambda model, x: ask(model, x, 1.0, 1.0),
    "louder": lambda model, x: ask(model, x, 1.5, 1.5),
    "two passes": lambda model, x: ask(model, ask(model, x, 1.0, 0.0), 0.0, 1.0),
    "second pass copies": lambda model, x: ask(model, ask(model, x, 1.0, 1.0), 0.0, 0.0),
}
rows = []
for seed in (0, 1, 2):
    torch.manual_seed(seed)
    model, asked = Transformer(), torch.randint(10, (256, 5))
    both, reversed_, shifted = (solved(asked, torch.tensor([s])) for s in ((1, 1), (1, 0), (0, 1)))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for step in range(1, 401):
        digits, skills = torch.randint(10, (64, 5)), TRAINED[torch.randint(3, (64,))]
        loss = nn.functional.cross_entropy(model(digits, skills).mT, solved(digits, skills))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for way, of in WAYS.items() if step % 25 == 0 else ():
            with torch.no_grad():
                right, r, s = ((of(model, asked) == x).all(1) for x in (both, reversed_, shifted))
            shares = {"reverse": right | r, "shift": right | s, "both": right}
            rows += [(seed, step, way, k, v.float().mean().item()) for k, v in shares.items()]
table = pd.DataFrame(rows, columns=["seed", "step", "protocol", "concept", "accuracy"])
table = read_trajectory(table, joint="both", controls=["second pass copies"])
findings = analyze(table, Path("two-skills.html"), title="Reverse and shift")
