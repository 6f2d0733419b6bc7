"""Names from other libraries, and what to write here: for error messages and the guides."""

# fmt: off
# Arguments and attributes: the name here, and its names elsewhere.
_ELSEWHERE: dict[str, str] = {
    "fan_in": "nin", "activation": "nonlin", "bias": "b", "fan_out": "nout units",
    "weights": "w weight", "class_weight": "weight pos_weight alpha", "reduction": "size_average",
    "lr": "learning_rate rate", "parameters": "params", "betas": "beta_1 beta_2 beta1 beta2",
    "rate": "learning_rate initial_learning_rate base_lr lr start_factor", "alpha": "rho",
    "rho": "alpha", "eps": "epsilon", "initial": "initial_accumulator_value",
    "every": "step_size decay_steps", "factor": "gamma decay_rate", "growth": "T_mult t_mul",
    "steps": "decay_steps T_max T_0 total_steps total_iters first_decay_steps",
    "final": "eta_min min_lr end_learning_rate end_factor", "peak": "max_lr", "warm": "pct_start",
    "start": "div_factor", "end": "final_div_factor", "function": "lr_lambda",
    "milestones": "boundaries", "line_search": "line_search_fn",
}
# The names here of a name elsewhere; a message gives the one that the callee has.
OPTIONS: dict[str, list[str]] = {}
for _here, _names in _ELSEWHERE.items():
    for _name in _names.split():
        OPTIONS.setdefault(_name, []).append(_here)

# Classes, functions and methods, and what to write instead.
NAMES: dict[str, str] = {
    "compile": 'nn.fit(model, data, loss="mse", optimizer="adam", epochs=...)',
    "fit": 'nn.fit(model, data, loss="mse", optimizer="adam", epochs=...)',
    "predict": "autograd.compile(model)(inputs)", "summary": "print(model)",
    "Linear": "nn.Layer(fan_in, fan_out)", "Dense": "nn.Layer(fan_in, fan_out, activation)",
    "Parameter": "autograd.Value(number)", "ModuleList": "a list of modules",
    "ReLU": 'activation="relu"', "LeakyReLU": 'activation="leaky_relu"',
    "Tanh": 'activation="tanh"', "Sigmoid": 'activation="sigmoid"', "GELU": 'activation="gelu"',
    "SiLU": 'activation="silu"', "swish": 'activation="silu"', "ELU": 'activation="elu"',
    "SELU": 'activation="selu"', "CELU": 'activation="celu"', "Mish": 'activation="mish"',
    "Softplus": 'activation="softplus"', "Softsign": 'activation="softsign"',
    "Hardtanh": 'activation="hardtanh"', "linear": "activation=None",
    "Softmax": "nn.Sequential(..., nn.softmax)", "LogSoftmax": "nn.Sequential(..., nn.log_softmax)",
    "MSELoss": "nn.mse", "L1Loss": "nn.mae", "HuberLoss": "nn.huber", "SmoothL1Loss": "nn.huber",
    "BCELoss": "nn.binary_crossentropy",
    "BCEWithLogitsLoss": "nn.binary_crossentropy(logits, targets, from_logits=True)",
    "CrossEntropyLoss": "nn.sparse_categorical_crossentropy(logits, classes, from_logits=True)",
    "cross_entropy": "nn.sparse_categorical_crossentropy(logits, classes, from_logits=True)",
    "NLLLoss": "nn.sparse_categorical_crossentropy(logits, classes, from_logits=True)",
    "KLDivLoss": "nn.kl_divergence", "PoissonNLLLoss": "nn.poisson(logs, targets, log_input=True)",
    "CosineEmbeddingLoss": "nn.cosine_similarity", "MultiMarginLoss": "nn.categorical_hinge",
    "Adam": "nn.optim.Adam(model)", "SGD": "nn.optim.SGD(model)",
    "LRScheduler": "nn.schedules.Schedule", "StepLR": "nn.schedules.Step(rate, every, factor)",
    "MultiStepLR": "nn.schedules.MultiStep(rate, milestones, factor)",
    "ExponentialLR": "nn.schedules.Exponential(rate, factor)",
    "ConstantLR": "nn.schedules.Constant(rate)",
    "LinearLR": "nn.schedules.Linear(rate, steps, final)",
    "PolynomialLR": "nn.schedules.Polynomial(rate, steps, power)",
    "CosineAnnealingLR": "nn.schedules.Cosine(rate, steps, final)",
    "CosineDecay": "nn.schedules.Cosine(rate, steps, final)",
    "CosineAnnealingWarmRestarts": "nn.schedules.CosineRestarts(rate, steps, growth, final)",
    "OneCycleLR": "nn.schedules.OneCycle(peak, steps)",
    "SequentialLR": "nn.schedules.Sequential(parts, milestones)",
    "LambdaLR": "nn.schedules.Lambda(rate, function)",
    "ReduceLROnPlateau": "nn.schedules.ReduceOnPlateau(rate, factor, patience)",
    "clip_grad_norm_": "nn.optim.clip_norm(model, largest)",
    "clip_grad_value_": "nn.optim.clip_value(model, largest)",
    "DataLoader": "nn.fit(model, data, batch_size=...)",
    "TensorDataset": "nn.data.Dataset(features, targets)",
    "EarlyStopping": "nn.fit(model, data, patience=...)",
    "ModelCheckpoint": "nn.fit(model, data, checkpoint=path)",
    "xavier_uniform_": "nn.init.glorot_uniform()", "xavier_normal_": "nn.init.glorot_normal()",
    "kaiming_uniform_": "nn.init.he_uniform()", "kaiming_normal_": "nn.init.he_normal()",
}

# Names that are left out on purpose, and what docs/left_out.md calls them.
LEFT_OUT: dict[str, str] = {
    "Dropout": "Dropout", "LayerNorm": "LayerNorm", "RMSNorm": "RMSNorm",
    "BatchNorm1d": "Batch normalization", "BatchNormalization": "Batch normalization",
    "Conv1d": "Convolution", "Conv1D": "Convolution", "Conv2d": "Convolution",
    "Conv2D": "Convolution", "RNN": "Recurrent cells", "LSTM": "Recurrent cells",
    "GRU": "Recurrent cells", "SimpleRNN": "Recurrent cells", "Lion": "Lion",
}
# fmt: on
