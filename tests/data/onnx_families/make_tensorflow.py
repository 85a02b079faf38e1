"""Write networks of Keras, through tf2onnx; see README.md."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
import tf2onnx
from keras import layers

from support.exports import CLASSES, finish

HERE = Path(__file__).parent
#: Family, opset and function of every model, in order.
MODELS: list[tuple[str, int, Callable[[], keras.Model]]] = []


def net(family: str, opset: int) -> Callable[[Callable[[], keras.Model]], None]:
    return lambda make: MODELS.append((family, opset, make))


@net("DCGAN and its kin", 9)
def keras_dcgan() -> keras.Model:
    """TensorFlow's tutorial."""
    return keras.Sequential([
        layers.Input((10,)), layers.Dense(4 * 4 * 8, use_bias=False),
        layers.BatchNormalization(), layers.LeakyReLU(), layers.Reshape((4, 4, 8)),
        layers.Conv2DTranspose(6, 5, strides=1, padding="same", use_bias=False),
        layers.BatchNormalization(), layers.LeakyReLU(),
        layers.Conv2DTranspose(1, 5, strides=2, padding="same", use_bias=False,
                               activation="tanh"),
    ])  # fmt: skip


@net("U-Nets and autoencoders", 13)
def keras_pix2pix() -> keras.Model:
    """TensorFlow's tutorial: dropout, and batch norm on the way up and down."""
    x = inputs = layers.Input((16, 16, 3))
    skips = []
    for filters, norm in ((4, False), (6, True), (6, True)):
        x = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x) if norm else x
        x = layers.LeakyReLU()(x)
        skips.append(x)
    for filters, skip in ((6, skips[1]), (4, skips[0])):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
        x = layers.Concatenate()([layers.ReLU()(x), skip])
    x = layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")(x)
    return keras.Model(inputs, x)


class ReflectionPadding2D(layers.Layer):
    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def call(self, x: tf.Tensor) -> tf.Tensor:
        p = self.padding
        return tf.pad(x, [[0, 0], [p, p], [p, p], [0, 0]], mode="REFLECT")


@net("instance norm, reflection", 13)
def keras_cyclegan() -> keras.Model:
    """Keras's example: reflection, and group norm with a group for each channel."""
    x = inputs = layers.Input((16, 16, 3))
    x = layers.Conv2D(4, 7, use_bias=False)(ReflectionPadding2D(3)(x))
    x = layers.Activation("relu")(layers.GroupNormalization(groups=-1)(x))
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.GroupNormalization(groups=-1)(x))
    y = layers.Conv2D(6, 3, use_bias=False)(ReflectionPadding2D(1)(x))
    y = layers.Activation("relu")(layers.GroupNormalization(groups=-1)(y))
    x = layers.add([x, y])
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.GroupNormalization(groups=-1)(x))
    return keras.Model(inputs, layers.Conv2D(3, 7, activation="tanh")(ReflectionPadding2D(3)(x)))


class InstanceNormalization(layers.Layer):
    """TensorFlow's pix2pix package has its own, of tf.nn.moments."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.scale = self.add_weight(name="scale", shape=shape[-1:], initializer="ones")
        self.offset = self.add_weight(name="offset", shape=shape[-1:], initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, axes=[1, 2], keepdims=True)
        return self.scale * (x - mean) * tf.math.rsqrt(variance + 1e-5) + self.offset


@net("instance norm, reflection", 15)
def keras_style_transfer() -> keras.Model:
    """Symmetric padding, moments, bilinear upsampling, a scaled tanh."""
    x = inputs = layers.Input((12, 12, 3))
    x = layers.Lambda(lambda t: tf.pad(t, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="SYMMETRIC"))(x)
    x = layers.ReLU()(InstanceNormalization()(layers.Conv2D(6, 5, strides=2)(x)))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.ReLU()(InstanceNormalization()(layers.Conv2D(6, 3, padding="same")(x)))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh")(x)
    return keras.Model(inputs, layers.Lambda(lambda t: t * 127.5 + 127.5)(x))


@net("conditional generators", 13)
def keras_cgan() -> keras.Model:
    """Keras's example: noise and one-hot labels, joined."""
    z, label = layers.Input((8,), name="noise"), layers.Input((CLASSES,), name="onehot")
    x = layers.Dense(4 * 4 * 6)(layers.Concatenate()([z, label]))
    x = layers.Reshape((4, 4, 6))(layers.LeakyReLU(negative_slope=0.2)(x))
    x = layers.Conv2DTranspose(6, 4, strides=2, padding="same")(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    return keras.Model([z, label], layers.Conv2D(1, 7, padding="same", activation="sigmoid")(x))


@net("conditional generators", 15)
def keras_acgan() -> keras.Model:
    """The embedding of an integer label, times the noise."""
    z = layers.Input((8,), name="noise")
    label = layers.Input((1,), dtype="int32", name="label")
    cls = layers.Flatten()(layers.Embedding(CLASSES, 8, "glorot_normal")(label))
    x = layers.Dense(4 * 4 * 6, activation="relu")(layers.multiply([z, cls]))
    x = layers.UpSampling2D()(layers.Reshape((4, 4, 6))(x))
    x = layers.Conv2D(6, 5, padding="same", activation="relu")(x)
    return keras.Model([z, label], layers.Conv2D(1, 2, padding="same", activation="tanh")(x))


@net("U-Nets and autoencoders", 11)
def keras_unet() -> keras.Model:
    """Max-pooling, upsampling, 2 x 2 convolutions that are padded on one side."""
    x = inputs = layers.Input((16, 16, 1))
    c1 = layers.Conv2D(4, 3, activation="relu", padding="same")(x)
    c2 = layers.Conv2D(6, 3, activation="relu", padding="same")(layers.MaxPooling2D(2)(c1))
    c3 = layers.Conv2D(6, 3, activation="relu", padding="same")(layers.MaxPooling2D(2)(c2))
    u2 = layers.Conv2D(4, 2, activation="relu", padding="same")(layers.UpSampling2D(2)(c3))
    m2 = layers.Conv2D(4, 3, activation="relu", padding="same")(layers.concatenate([c2, u2]))
    u1 = layers.Conv2D(4, 2, activation="relu", padding="same")(layers.UpSampling2D(2)(m2))
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(
        layers.concatenate([c1, u1])))  # fmt: skip


@net("super-resolution", 14)
def keras_srgan() -> keras.Model:
    """Pixels of 0 to 255 go in and come out; PReLU with shared axes."""
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255.0)(x)
    first = x = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(6, 9, padding="same")(x))
    y = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x))
    y = layers.Conv2D(6, 3, padding="same")(layers.PReLU(shared_axes=[1, 2])(y))
    x = layers.add([first, layers.BatchNormalization()(y)])
    x = layers.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(layers.Conv2D(24, 3, padding="same")(x))
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.Conv2D(3, 3, padding="same", activation="tanh")(x)
    return keras.Model(inputs, layers.Lambda(lambda t: (t + 1) * 127.5)(x))


@net("group and layer norm, SiLU, GELU", 17)
def keras_ddim_block() -> keras.Model:
    """Keras's denoising example: batch norm without scale, swish, bilinear, skips."""
    x = inputs = layers.Input((8, 8, 3))

    def block(x: tf.Tensor, width: int) -> tf.Tensor:
        residual = layers.Conv2D(width, 1)(x)
        x = layers.BatchNormalization(center=False, scale=False)(x)
        x = layers.Conv2D(width, 3, padding="same", activation="swish")(x)
        return layers.Add()([layers.Conv2D(width, 3, padding="same")(x), residual])

    skip = x = block(layers.Conv2D(4, 1)(x), 6)
    x = block(layers.AveragePooling2D(2)(x), 6)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = block(layers.Concatenate()([x, skip]), 6)
    return keras.Model(inputs, layers.Conv2D(3, 1)(x))


@net("group and layer norm, SiLU, GELU", 17)
def keras_layernorm_gelu() -> keras.Model:
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 4, strides=2, padding="same")(x)
    y = layers.LayerNormalization(epsilon=1e-6)(layers.DepthwiseConv2D(5, padding="same")(x))
    y = layers.Dense(12, activation=lambda t: keras.activations.gelu(t, approximate=True))(y)
    y = layers.Dense(8)(y)
    x = layers.add([x, y])
    return keras.Model(inputs, layers.Conv2DTranspose(3, 2, strides=2, activation="sigmoid")(x))


@net("products of activations", 13)
def keras_squeeze_excite() -> keras.Model:
    """MobileNetV3's block as Keras applications write it."""
    x = inputs = layers.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    x = shortcut = layers.Activation("hard_silu")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    se = layers.GlobalAveragePooling2D(keepdims=True)(x)
    se = layers.Conv2D(8, 1, activation="hard_sigmoid")(layers.Conv2D(2, 1, activation="relu")(se))
    x = layers.Add()([shortcut, layers.Multiply()([x, se])])
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    x = layers.UpSampling2D(2)(x)
    return keras.Model(inputs, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


@net("U-Nets and autoencoders", 12)
def keras_vae() -> keras.Model:
    """Keras's example: encoder to the mean, decoder."""
    he = {"kernel_initializer": "he_normal"}
    x = inputs = layers.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, activation="relu", strides=2, padding="same", **he)(x)
    x = layers.Conv2D(6, 3, activation="relu", strides=2, padding="same", **he)(x)
    z = layers.Dense(4, **he)(layers.Dense(8, activation="relu", **he)(layers.Flatten()(x)))
    x = layers.Reshape((3, 3, 6))(layers.Dense(3 * 3 * 6, activation="relu", **he)(z))
    x = layers.Conv2DTranspose(6, 3, activation="relu", strides=2, padding="same", **he)(x)
    x = layers.Conv2DTranspose(4, 3, activation="relu", strides=2, padding="same", **he)(x)
    return keras.Model(
        inputs, layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    )


@net("PixelNorm and StyleGAN", 13)
def keras_stylegan() -> keras.Model:
    """A learned constant and AdaIN, as Keras's example has them."""

    class Constant(layers.Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.value = self.add_weight(name="value", shape=(1, 4, 4, 6),
                                         initializer="random_normal")  # fmt: skip

        def call(self, x: tf.Tensor) -> tf.Tensor:
            return tf.tile(self.value, [tf.shape(x)[0], 1, 1, 1])

    class AdaIN(layers.Layer):
        def call(self, pair: list[tf.Tensor]) -> tf.Tensor:
            x, style = pair
            scale, bias = tf.split(tf.reshape(style, [-1, 1, 1, 12]), 2, axis=-1)
            mean = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
            std = tf.math.reduce_std(x, axis=[1, 2], keepdims=True) + 1e-7
            return (x - mean) / std * (1 + scale) + bias

    w = inputs = layers.Input((8,))
    w = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(8)(w))
    x = layers.Conv2D(6, 3, padding="same")(Constant()(w))
    x = layers.LeakyReLU(negative_slope=0.2)(AdaIN()([x, layers.Dense(12)(w)]))
    x = layers.Conv2D(6, 3, padding="same")(layers.UpSampling2D()(x))
    x = layers.LeakyReLU(negative_slope=0.2)(AdaIN()([x, layers.Dense(12)(w)]))
    return keras.Model(inputs, layers.Conv2D(3, 1)(x))


@net("sound (one dimension)", 13)
def keras_wave_unet() -> keras.Model:
    x = inputs = layers.Input((32, 1))
    skip = x = layers.LeakyReLU()(layers.Conv1D(4, 5, padding="same")(x))
    x = layers.Conv1D(6, 5, strides=2, padding="same", activation="elu")(x)
    x = layers.Conv1DTranspose(4, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Concatenate()([x, skip])
    return keras.Model(inputs, layers.Conv1D(1, 1, activation="tanh")(x))


def main() -> None:
    for seed, (family, opset, make) in enumerate(MODELS):
        if len(sys.argv) > 1 and not make.__name__.startswith(tuple(sys.argv[1:])):
            continue
        keras.utils.set_random_seed(seed)
        rng = tf.random.Generator.from_seed(seed)
        model = make()
        for layer in model.layers:
            if isinstance(layer, layers.PReLU):
                layer.set_weights([rng.uniform(w.shape, 0.1, 0.4) for w in layer.get_weights()])
            elif "ormalization" in type(layer).__name__:
                layer.set_weights([rng.uniform(w.shape, 0.5, 1.5) for w in layer.get_weights()])
        spec = tuple(
            tf.TensorSpec((None, *t.shape[1:]), t.dtype, name=t.name) for t in model.inputs
        )
        single = len(spec) == 1
        call = tf.function(
            lambda *t, model=model, single=single: model(t[0] if single else list(t))
        )
        path = HERE / f"{make.__name__}-tf2onnx-{opset}.onnx"
        try:
            tf2onnx.convert.from_function(call, spec, opset=opset, output_path=str(path))
            finish(path, family)
        except Exception as error:  # the others are to be written all the same
            print(f"{path.name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
