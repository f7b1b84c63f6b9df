"""What the peers of peers.py that are written in PyTorch do alike."""

import torch
from answering import answer_requests


def answer_with(model, logits, label, about):
    """Answer requests: the logits without gradients, and a training step of cross-entropy and AdamW.

    Args:
      model: in evaluation or in training mode, as the request wants it.
      logits: () -> what the model says of the batch.
      label: the classes, on as many axes as the logits have before their last.
      about: versions.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)

    def forward():
        model.eval()
        with torch.no_grad():
            return logits().numpy()

    def step():
        model.train()
        said = logits()
        loss = torch.nn.functional.cross_entropy(said.reshape(-1, said.shape[-1]), label.reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    answer_requests(forward, step, about)
