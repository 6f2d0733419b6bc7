"""What other libraries call things, and what to write here: for messages and for the guides."""

# fmt: off
# Arguments and attributes; of several meanings, the one that the callee knows is named.
OPTIONS: dict[str, tuple[str, ...]] = {
    "nin": ("fan_in",), "nout": ("fan_out",), "nonlin": ("activation",), "w": ("weights",),
    "b": ("bias",), "units": ("fan_out",), "weight": ("weights", "class_weight"),
    "pos_weight": ("class_weight",), "size_average": ("reduction",),
    "learning_rate": ("lr", "rate"), "initial_learning_rate": ("rate",), "base_lr": ("rate",),
    "lr": ("rate",), "rate": ("lr",), "params": ("parameters",), "beta_1": ("betas",),
    "beta_2": ("betas",), "beta1": ("betas",), "beta2": ("betas",), "rho": ("alpha",),
    "alpha": ("rho", "class_weight"), "epsilon": ("eps",),
    "initial_accumulator_value": ("initial",), "step_size": ("every",),
    "decay_steps": ("steps", "every"), "gamma": ("factor",), "decay_rate": ("factor",),
    "T_max": ("steps",), "T_0": ("steps",), "T_mult": ("growth",), "t_mul": ("growth",),
    "total_steps": ("steps",), "total_iters": ("steps",), "first_decay_steps": ("steps",),
    "eta_min": ("final",), "min_lr": ("final",), "end_learning_rate": ("final",),
    "max_lr": ("peak",), "pct_start": ("warm",), "div_factor": ("start",),
    "final_div_factor": ("end",), "lr_lambda": ("function",), "boundaries": ("milestones",),
    "line_search_fn": ("line_search",), "start_factor": ("rate",), "end_factor": ("final",),
}

# Classes, functions and methods, with what to write.
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

# What is left out, with the words for it in docs/left_out.md.
LEFT_OUT: dict[str, str] = {
    "Dropout": "Dropout", "LayerNorm": "LayerNorm", "RMSNorm": "RMSNorm",
    "BatchNorm1d": "Batch normalization", "BatchNormalization": "Batch normalization",
    "Conv1d": "Convolution", "Conv1D": "Convolution", "Conv2d": "Convolution",
    "Conv2D": "Convolution", "RNN": "Recurrent cells", "LSTM": "Recurrent cells",
    "GRU": "Recurrent cells", "SimpleRNN": "Recurrent cells", "Lion": "Lion",
}
# fmt: on
