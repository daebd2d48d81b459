"""Initialisations that several layers share, as MMEngine's init_cfg."""

KAIMING_UNIFORM = dict(
    type="Kaiming",
    layer="Conv2d",
    a=1,
    mode="fan_in",
    nonlinearity="leaky_relu",
    distribution="uniform",
)
"""Initialisation of the released fused program's convolutions, except those that predict."""
