"""Four questions about the plays, one model: told by a token which one is asked, not told, or with a query for each.

    record   {"bytes": (64,) ids, "task": (), "label": ()}             datasets.load("play_tasks", "train")[i]
    inputs   (B, 64, 129) of the text; with tokens (B, 65, 129): one learned input says which question is asked, or is
             shared by all of them
    latents  (B, 32, 128): read once; padding is not read
    queries  one for all, or one per task; (B, 4, 128)
    logits   {"speaker": (B, 10), "kind": (B, 3), "verse": (B, 2), "continues": (B, 2)}, each through its own linear map
    loss     cross-entropy of the question that the record is about

Perceiver IO was fine-tuned on the eight tasks of GLUE at once in these ways (2107.14795, section 4.1, table 2): with
a shared token in the input 81.49, with task tokens 81.76, with a query per task 81.79, one task at a time 80.95 on
average. Here all start from
the encoder of `bytes_perceiver_io`, which never read what is tested. `tasks_only_NAME` is asked NAME alone, and sees
as many examples of it as the models of all tasks do.

What the score does not tell: with a query per task or a shared token, one encoding of a text answers every question,
and with task tokens there must be one for each.

    perceiver-lab train tasks_queries --mode full
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.adapters import LinearOutput, MultimodalOutput, PositionQueries
from perceiver_lab.datasets.bytes import PAD
from perceiver_lab.datasets.play_tasks import TASKS
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig
from perceiver_lab.models.perceiver import EncodingModel, PerceiverEncoder
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.masked_bytes import ENCODER, SIZES, byte_input
from perceiver_lab.recipes.starting import Start
from perceiver_lab.recipes.tasks_measure import READS, measure, predict, task_loss
from perceiver_lab.training import OptimizerConfig


class TaskModel(EncodingModel):
    """A reader of bytes that answers several questions: told which by a token it reads, or by the query it is asked."""

    def __init__(
        self,
        config: PerceiverConfig,
        *,
        input_adapter: nnx.Module,
        tasks: tuple[str, ...],
        with_tokens: bool,
        shared: bool = False,
        rngs: nnx.Rngs,
    ):
        """Put a model together.

        Args:
          config: sizes of the encoder.
          input_adapter: ids -> inputs (B, M, C).
          tasks: the questions, of `datasets.play_tasks.TASKS`.
          with_tokens: a learned input per task and one query for all, rather than a query per task.
          shared: one learned input for all tasks, which therefore does not say what is asked.
          rngs: for the initial weights.
        """
        channels, count = config.latent_channels, 1 if with_tokens else len(tasks)
        self.tasks, self.shared = tasks, shared
        self.input_adapter = input_adapter
        self.encoder = PerceiverEncoder(config, input_adapter.num_channels, rngs=rngs)
        tokens = (1 if shared else len(tasks),)
        self.tokens = LearnedPositions(tokens, input_adapter.num_channels, rngs=rngs) if with_tokens else None
        self.decoder = Decoder(
            PositionQueries(LearnedPositions((count,), channels, rngs=rngs)),
            channels,
            output_channels=None,
            use_query_residual=True,
            rngs=rngs,
        )
        self.heads = MultimodalOutput(
            {task: LinearOutput(channels, len(TASKS[task]), only_query=True, rngs=rngs) for task in tasks}
        )

    def __call__(
        self,
        ids: Int[Array, "b m"],
        task: Int[Array, " b"] | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Float[Array, "b _"]]:
        """The logits of every task.

        Args:
          ids: texts, padded with 0.
          task: the number of the question among this model's, which its token tells; the answers to the others are then
            of no meaning. A model with queries or a shared token needs none: it answers all at once.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: ids of another shape, or no task where tokens tell it.
        """
        inputs, mask = self._told(self.embed(ids, train=train), ids != PAD, task)
        latents = self.encode(inputs, mask=mask, train=train, rngs=rngs)
        decoded = self.decoder(latents, self.decoder.queries(latents[:1]))
        rows = {name: decoded[:, :1] if self.tokens else decoded[:, i : i + 1] for i, name in enumerate(self.tasks)}
        return self.heads.join(self.heads.each(rows))

    def _told(
        self, inputs: Float[Array, "b m c"], mask: Bool[Array, "b m"], task: Int[Array, " b"] | None
    ) -> tuple[Float[Array, "b l c"], Bool[Array, "b l"]]:
        """Inputs and mask, with the token of the task after them where there are tokens."""
        if self.tokens is None:
            return inputs, mask
        if self.shared:
            task = jnp.zeros(len(inputs), jnp.int32)
        if task is None or task.shape != (len(inputs),):
            raise ValueError(
                f"This model is told by a token which question is asked: give task, one number for each text, 0 to "
                f"{len(self.tasks) - 1} for {', '.join(self.tasks)}; got {None if task is None else task.shape}."
            )
        inputs = jnp.concatenate([inputs, self.tokens.at(task)[:, None]], axis=1)
        return inputs, jnp.concatenate([mask, jnp.ones((len(mask), 1), bool)], axis=1)


def build(recipe: Recipe, rngs: nnx.Rngs) -> TaskModel:
    """The encoder of the models that fill bytes in, and a question or four."""
    return TaskModel(
        recipe.model,
        input_adapter=byte_input(recipe, rngs),
        tasks=recipe.options["tasks"],
        with_tokens=recipe.options["with_tokens"],
        shared=recipe.options.get("shared", False),
        rngs=rngs,
    )


STEPS_PER_TASK = 600


def recipe(name, summary, *, tasks=tuple(TASKS), with_tokens=False, **options):
    """As many examples of each task, whether it comes alone or with others."""
    only = f"_{tasks[0]}" if len(tasks) == 1 else ""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=ENCODER,
        options={**SIZES, "tasks": tasks, "with_tokens": with_tokens, **options},
        data=Data(name="play_tasks", train=f"train{only}", test=f"test{only}", train_transforms=(), test_transforms=()),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=50, schedule="warmup_cosine", weight_decay=0.05),
        budgets={
            "ci": Budget(steps=4, batch_size=16, train_part="[:200]", test_part="[:100]", test_batch_size=50),
            "lab": Budget(steps=100 * len(tasks), batch_size=64),
            "full": Budget(
                steps=STEPS_PER_TASK * len(tasks), batch_size=64, seeds=(0, 1, 2), evaluate_every=300 * len(tasks)
            ),
        },
        numerics=1,
        loss=task_loss,
        predict=predict,
        reads=READS,
        measure=measure,
        start_from=Start(recipe="bytes_perceiver_io", parts=("input_adapter", "encoder")),
    )


RECIPES = (
    recipe("tasks_queries", "four questions about the plays, a query for each"),
    recipe("tasks_tokens", "four questions about the plays, one query, and a token that says which", with_tokens=True),
    recipe(
        "tasks_shared",
        "four questions about the plays, one query, and one token for all",
        with_tokens=True,
        shared=True,
    ),
    *(recipe(f"tasks_only_{task}", f"only the question {task!r} about the plays", tasks=(task,)) for task in TASKS),
)
