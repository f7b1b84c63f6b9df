"""ImageNet 64 x 64, value by value, as the released Perceiver AR was trained (2202.07765): online, for many devices.

    record   {"image": (64, 64, 3) uint8}             datasets.load("downsampled_imagenet/64x64:2.0.0", "train")[i]
    batch    {"inputs": (2048, 12416), "targets": (2048, 12416), "positions": (2048, 12416, 3)}: a picture row by row
             and channel by channel, of which a crop; what follows is padding
    latents  (B, 1024, 1024): made of the last 1,024 values
    logits   (B, 1024, 259)

Rate, warm-up, batch and loss are the release's, and so is the stride of 512 values with which it is measured. That the
rate falls along a cosine in the last 50,000 of 750,000 steps only a comment of the release says; here it stays. Nothing
ships, and nothing was measured here: `digits_ar` is the same at a size that two cores train.

    perceiver-lab train imagenet64_ar --mode full --set options.products=bfloat16 --mesh data=64
"""

from perceiver_lab.datasets import crop_events, picture_events
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.events_measure import READS, measure_events, predict
from perceiver_lab.recipes.imagenet import Published, build
from perceiver_lab.training import OptimizerConfig, next_token_loss

CONTEXT, LATENTS = 12_416, 1_024

RECIPES = (
    Recipe(
        name="imagenet64_ar",
        summary="ImageNet 64 x 64 value by value, as published (online)",
        build=build,
        model=Published(preset="imagenet64_ar"),
        options={"products": "float32"},
        data=Data(
            name="downsampled_imagenet/64x64:2.0.0",
            test="validation",
            train_transforms=(picture_events(), crop_events(context=CONTEXT, fewest=LATENTS)),
            test_transforms=(picture_events(),),
        ),
        optimizer=OptimizerConfig(learning_rate=3e-4, warmup_steps=10_000),
        budgets={
            "ci": Budget(steps=2, batch_size=1, train_part="[:4]", test_part="[:1]", test_batch_size=1),
            "lab": Budget(steps=10, batch_size=1, train_part="[:100]", test_part="[:2]", test_batch_size=2),
            "full": Budget(
                steps=750_000,
                batch_size=2048,
                test_part="[:1000]",
                test_batch_size=8,
                evaluate_every=50_000,
                checkpoint_every=1_000,
                log_every=100,
            ),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=(*READS, "positions"),
        measure=measure_events("value"),
        headline="bits_per_value",
    ),
)
