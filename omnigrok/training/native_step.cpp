// Optimiser steps of R small multi-layer perceptrons on the CPU, several steps a call, one replica
// a thread.
//
// The counterpart of Stack._take_step for the models mlp, decoder and messy_mlp: batch, forward,
// backward, AdamW and projection (omnigrok/training: optimizer.py, sphere.py, objective.py say what
// they mean). A replica's parameters are one vector in the order of nn.Linear: weight (out, in) row
// by row, then bias (out). Its activations and its gradient stay in one core's cache from the batch
// to the update, and no thread waits for another within a call.
//
// Matrix products are those of the BLAS inside libtorch_cpu, whose addresses the caller hands over.
// omnigrok/training/native.py builds this file, describes `Job` to ctypes and calls the functions
// at the end.

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace {

enum Activation : int64_t { TANH, RELU, LEAKY_RELU };
enum Loss : int64_t { MSE, CROSS_ENTROPY };
enum Constraint : int64_t { FREE, RESCALE, RESCALE_DOUBLE, PUBLISHED, TANGENT };

using SingleProduct = void (*)(const char*, const char*, const int*, const int*, const int*,
                               const float*, const float*, const int*, const float*, const int*,
                               const float*, float*, const int*);
using DoubleProduct = void (*)(const char*, const char*, const int*, const int*, const int*,
                               const double*, const double*, const int*, const double*, const int*,
                               const double*, double*, const int*);

// What a call reads and writes; the same fields, in the same order, as native.Job. Arrays are
// contiguous; `Real` is float or double. R replicas, K steps, P parameters, B places in a batch, N
// places in a training set.
struct Job {
    int64_t replicas, steps, threads, parameters;
    int64_t layers;         // linear layers
    const int64_t* widths;  // (layers + 1)
    int64_t activation, loss, constraint;
    int64_t loss_in_double;  // whether the loss is calculated in double, whatever Real is
    double slope;            // of LEAKY_RELU below 0
    double one_minus_beta1, beta2, one_minus_beta2,
        eps;                         // 1 - beta is rounded from double, not formed in float
    double clip;                     // largest norm of a gradient; 0: unlimited
    void *weights, *first, *second;  // Real (R, P): parameters and AdamW's moments
    const void* held;                // Real (R): the squared norm that the constraint holds
    const void* inputs;              // Real (rows, widths[0]): the pool of samples
    const int64_t* input_offsets;    // (R): first row of each replica's own pool
    const void* targets;  // Real (rows, widths[layers]) for MSE, int64 (rows) for CROSS_ENTROPY
    const int64_t* target_offsets;  // (R)
    const int64_t* labels;  // (rows): messy_mlp's class of each sample; null for other models
    const int64_t* label_offsets;       // (R)
    const void *messiness, *templates;  // Real (R), (R, classes)
    int64_t classes;
    const int64_t* train;  // (R, N): rows of each replica's training set within its own pool
    int64_t train_width;   // N
    const int64_t*
        positions;  // (K, R, B): places in the training set; null: every step takes all of it
    int64_t batch;  // B
    const int64_t*
        counts;  // (K, R) samples of each batch, the first places of its row; (R) without positions
    const void *decay, *step_size, *second_scale;  // Real (K, R), (K, R), (K): optimizer.Schedule
    // Input columns that are not zero in all of a replica's training samples, as runs of
    // neighbours: the others add nothing to a product and have no gradient. Null: all columns.
    const int64_t *run_starts, *run_lengths;
    const int64_t* first_run;  // (R + 1): where each replica's runs begin
    void* outputs;             // Real (R, B, widths[layers]): of `outputs_*`
    SingleProduct sgemm;
    DoubleProduct dgemm;
    int (*set_threads)(int);  // threads of the BLAS in the calling thread
};

// Denormals are flushed to zero while this lives: they make a step up to 12 times slower at small
// alpha.
class FlushedDenormals {
  public:
    FlushedDenormals() : before_(_mm_getcsr()) {
        _mm_setcsr(before_ | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    }
    ~FlushedDenormals() { _mm_setcsr(before_); }

  private:
    static constexpr unsigned FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040;
    unsigned before_;
};

constexpr size_t ALIGNMENT = 64;  // a cache line, and the widest vector

template <typename Real>
class Buffer {
  public:
    explicit Buffer(size_t size)
        : data_(static_cast<Real*>(
              ::operator new(size * sizeof(Real) + ALIGNMENT, std::align_val_t{ALIGNMENT}))) {}
    Real* get() const { return data_.get(); }

  private:
    struct Free {
        void operator()(Real* data) const { ::operator delete(data, std::align_val_t{ALIGNMENT}); }
    };
    std::unique_ptr<Real[], Free> data_;
};

// The input columns that a replica's first layer is multiplied with.
struct Columns {
    const int64_t *starts, *lengths;
    int64_t runs, width;  // of all runs together

    bool all() const { return runs == 0; }

    // (rows, full) to (rows, width).
    template <typename Real>
    void pack(const Real* from, int64_t rows, int64_t full, Real* to) const {
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t run = 0; run < runs; ++run) {
                std::memcpy(to, from + row * full + starts[run], lengths[run] * sizeof(Real));
                to += lengths[run];
            }
    }

    // (rows, width) to (rows, full), with zeros elsewhere.
    template <typename Real>
    void unpack(const Real* from, int64_t rows, int64_t full, Real* to) const {
        std::fill(to, to + rows * full, Real(0));
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t run = 0; run < runs; ++run) {
                std::memcpy(to + row * full + starts[run], from, lengths[run] * sizeof(Real));
                from += lengths[run];
            }
    }
};

inline Columns all_columns(const Job& job) { return {nullptr, nullptr, 0, job.widths[0]}; }

inline Columns live_columns(const Job& job, int64_t replica) {
    if (!job.first_run) return all_columns(job);
    const int64_t begin = job.first_run[replica], runs = job.first_run[replica + 1] - begin;
    Columns live{job.run_starts + begin, job.run_lengths + begin, runs, 0};
    for (int64_t run = 0; run < runs; ++run) live.width += live.lengths[run];
    return live;
}

// What one thread needs for the network it works on.
template <typename Real>
struct Workspace {
    Workspace(const Job& job, int64_t samples)
        : gradient(job.parameters), packed(job.widths[0] * job.widths[1]), inner(job.layers + 1) {
        int64_t widest = 0;
        for (int64_t layer = 0; layer <= job.layers; ++layer) {
            activations.emplace_back(samples * job.widths[layer]);
            widest = std::max(widest, job.widths[layer]);
        }
        delta.emplace_back(samples * widest);
        delta.emplace_back(samples * widest);
        targets.emplace_back(samples * job.widths[job.layers]);
        classes.resize(samples);
    }
    std::vector<Buffer<Real>>
        activations;  // (samples, width) of each layer; the first is the batch
    std::vector<Buffer<Real>>
        delta;  // (samples, width): loss gradient of the outputs of two neighbouring layers
    std::vector<Buffer<Real>> targets;  // (samples, outputs), for MSE
    std::vector<int64_t> classes;       // (samples), for CROSS_ENTROPY
    Buffer<Real> gradient;              // (P)
    Buffer<Real> packed;                // (widths[1], columns): the first weight, or its gradient
    std::vector<int64_t> inner;         // where each layer's weight begins among the parameters
};

// c (m, n) = op(a) op(b) + beta c, all stored row by row; the BLAS stores by columns, so it sees c'
// = op(b)' op(a)'.
inline void product(const Job& job, bool transpose_a, bool transpose_b, int m, int n, int k,
                    const float* a, int lda, const float* b, int ldb, float beta, float* c) {
    const float one = 1;
    job.sgemm(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda,
              &beta, c, &n);
}

inline void product(const Job& job, bool transpose_a, bool transpose_b, int m, int n, int k,
                    const double* a, int lda, const double* b, int ldb, double beta, double* c) {
    const double one = 1;
    job.dgemm(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda,
              &beta, c, &n);
}

// tanh x = t / (t + 2) with t = e^y - 1, y = 2 |x|. With y = n ln 2 + r, |r| <= ln 2 / 2, t = 2^n
// (e^r - 1) + (2^n - 1), and e^r - 1 is its Taylor polynomial of degree 7: it leaves out r^8 / 8!
// < 1.6e-8 |e^r - 1|, a quarter of an ulp. With the roundings the result is within 2.5 ulp of tanh
// for every float (tests/training/test_native.py tries them).
inline float hyperbolic_tangent(float x) {
    constexpr float SATURATED = 20.0f;        // tanh 10 rounds to 1
    constexpr float SHIFT = 12582912.0f;      // 1.5 * 2^23: adding it rounds to a whole number
    constexpr float LN2_HIGH = 0.693359375f;  // 9 bits of ln 2: n times it is exact
    constexpr float LN2_LOW = -2.12194440054690583e-4f;  // ln 2 - LN2_HIGH
    constexpr float LOG2_E = 1.44269504088896341f;
    float y = 2 * std::fabs(x);
    y = y > SATURATED ? SATURATED : y;  // NaN stays NaN
    const float shifted = y * LOG2_E + SHIFT;
    const float n = shifted - SHIFT;
    const float r = (y - n * LN2_HIGH) - n * LN2_LOW;
    float tail = 1.0f / 5040;
    tail = tail * r + 1.0f / 720;
    tail = tail * r + 1.0f / 120;
    tail = tail * r + 1.0f / 24;
    tail = tail * r + 1.0f / 6;
    tail = tail * r + 0.5f;
    const float near = r + r * r * tail;
    uint32_t bits;  // the low bits of `shifted` are n; 2^n has n + 127 in its exponent
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    const float t = power * near + (power - 1);
    return std::copysign(t / (t + 2), x);
}

inline double hyperbolic_tangent(double x) { return std::tanh(x); }

template <typename Real>
void activate(const Job& job, Real* values, int64_t count) {
    const Real slope = static_cast<Real>(job.slope);
    if (job.activation == TANH) {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) values[i] = hyperbolic_tangent(values[i]);
    } else if (job.activation == RELU) {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i)
            values[i] = values[i] < 0 ? 0 : values[i];  // NaN stays NaN
    } else {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i)
            values[i] = values[i] < 0 ? slope * values[i] : values[i];
    }
}

// delta *= the activation's derivative, from its value.
template <typename Real>
void activate_backward(const Job& job, const Real* values, Real* delta, int64_t count) {
    const Real slope = static_cast<Real>(job.slope);
    if (job.activation == TANH) {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) delta[i] *= 1 - values[i] * values[i];
    } else if (job.activation == RELU) {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) delta[i] = values[i] <= 0 ? 0 : delta[i];
    } else {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) delta[i] = values[i] <= 0 ? slope * delta[i] : delta[i];
    }
}

// The sum of a function's values at [begin, end): in Real over a block, which vectorises, in double
// over the blocks.
template <typename Term>
double blockwise(int64_t begin, int64_t end, Term sum_of_block) {
    constexpr int64_t BLOCK = 4096;
    double total = 0;
    for (int64_t start = begin; start < end; start += BLOCK)
        total += sum_of_block(start, std::min(start + BLOCK, end));
    return total;
}

template <typename Real>
double dot(const Real* left, const Real* right, int64_t begin, int64_t end) {
    return blockwise(begin, end, [=](int64_t start, int64_t stop) {
        Real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = start; i < stop; ++i) sum += left[i] * right[i];
        return sum;
    });
}

template <typename Real>
void scale(Real* values, Real factor, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) values[i] *= factor;
}

inline int64_t first_tensor(const Job& job) { return job.widths[0] * job.widths[1]; }

inline bool counts_first_twice(const Job& job) {
    return job.constraint == RESCALE_DOUBLE || job.constraint == PUBLISHED;
}

// sphere.rescale_, given the square that the constraint looks at.
template <typename Real>
void rescale(const Job& job, int64_t replica, double square) {
    const Real held = static_cast<const Real*>(job.held)[replica];
    Real* weights = static_cast<Real*>(job.weights) + replica * job.parameters;
    scale(weights, static_cast<Real>(std::sqrt(held / std::max(square, 1e-30))), job.parameters);
}

// sphere.remove_radial: the part of the gradient along the weights is taken away.
template <typename Real>
void remove_radial(const Job& job, const Real* weights, Real* gradient) {
    const double square = std::max(dot(weights, weights, 0, job.parameters), 1e-30);
    const Real share = static_cast<Real>(dot(gradient, weights, 0, job.parameters) / square);
#pragma omp simd
    for (int64_t i = 0; i < job.parameters; ++i) gradient[i] -= share * weights[i];
}

// optimizer.clip.
template <typename Real>
void clip(const Job& job, Real* gradient) {
    const double norm = std::sqrt(dot(gradient, gradient, 0, job.parameters));
    const double factor = job.clip / (norm + 1e-6);
    if (!(factor >= 1)) scale(gradient, static_cast<Real>(factor), job.parameters);
}

// optimizer.adamw_ on the parameters [begin, end); returns their new squared norm.
template <typename Real>
double adamw(const Job& job, int64_t step, int64_t replica, const Real* gradient, int64_t begin,
             int64_t end) {
    const int64_t row = replica * job.parameters, factor = step * job.replicas + replica;
    Real* weights = static_cast<Real*>(job.weights) + row;
    Real* first = static_cast<Real*>(job.first) + row;
    Real* second = static_cast<Real*>(job.second) + row;
    const Real decay = static_cast<const Real*>(job.decay)[factor];
    // first / (sqrt(second) / s + eps) = s first / (sqrt(second) + s eps): one division for each
    // parameter.
    const Real correction = static_cast<const Real*>(job.second_scale)[step];
    const Real step_size = static_cast<const Real*>(job.step_size)[factor] * correction;
    const Real eps = static_cast<Real>(job.eps) * correction;
    const Real new_first = static_cast<Real>(job.one_minus_beta1),
               new_second = static_cast<Real>(job.one_minus_beta2);
    const Real beta2 = static_cast<Real>(job.beta2);
    return blockwise(begin, end, [=](int64_t start, int64_t stop) {
        Real square = 0;
#pragma omp simd reduction(+ : square)
        for (int64_t i = start; i < stop; ++i) {
            const Real slope = gradient[i];
            first[i] += new_first * (slope - first[i]);
            second[i] = second[i] * beta2 + new_second * slope * slope;
            weights[i] = weights[i] * decay - step_size * (first[i] / (std::sqrt(second[i]) + eps));
            square += weights[i] * weights[i];
        }
        return square;
    });
}

// Copies samples at `places` of the replica's own pool into the workspace: messy_mlp's blended with
// their template.
template <typename Real>
void gather_inputs(const Job& job, int64_t replica, const Columns& columns, const int64_t* places,
                   const int64_t* within, int64_t count, Real* batch) {
    const int64_t width = job.widths[0];
    const Real* pool = static_cast<const Real*>(job.inputs) + job.input_offsets[replica] * width;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t place = within ? places[within[i]] : places[i];
        const Real* sample = pool + place * width;
        if (!columns.all()) {
            columns.pack(sample, 1, width, batch + i * columns.width);
            continue;
        }
        Real* row = batch + i * width;
        if (!job.labels) {
            std::memcpy(row, sample, width * sizeof(Real));
            continue;
        }
        const int64_t label = job.labels[job.label_offsets[replica] + place];
        const Real messiness = static_cast<const Real*>(job.messiness)[replica];
        const Real shown = (1 - messiness) *
                           static_cast<const Real*>(job.templates)[replica * job.classes + label];
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) row[j] = messiness * sample[j] + shown;
    }
}

template <typename Real>
void gather_targets(const Job& job, int64_t replica, const int64_t* places, const int64_t* within,
                    int64_t count, Workspace<Real>& space) {
    const int64_t width = job.widths[job.layers], offset = job.target_offsets[replica];
    for (int64_t i = 0; i < count; ++i) {
        const int64_t row = offset + (within ? places[within[i]] : places[i]);
        if (job.loss == CROSS_ENTROPY)
            space.classes[i] = static_cast<const int64_t*>(job.targets)[row];
        else
            std::memcpy(space.targets[0].get() + i * width,
                        static_cast<const Real*>(job.targets) + row * width, width * sizeof(Real));
    }
}

// The outputs of the batch in the workspace; every layer's values stay there for the way back.
template <typename Real>
void forward(const Job& job, const Columns& columns, const Real* weights, int64_t count,
             Workspace<Real>& space) {
    int64_t begin = 0;
    for (int64_t layer = 0; layer < job.layers; ++layer) {
        const int64_t fan_in = job.widths[layer], fan_out = job.widths[layer + 1];
        const Real *matrix = weights + begin, *bias = matrix + fan_in * fan_out;
        Real* values = space.activations[layer + 1].get();
        for (int64_t i = 0; i < count; ++i)
            std::memcpy(values + i * fan_out, bias, fan_out * sizeof(Real));
        int64_t used = fan_in;
        if (layer == 0 && !columns.all()) {
            columns.pack(matrix, fan_out, fan_in, space.packed.get());
            matrix = space.packed.get();
            used = columns.width;
        }
        product(job, false, true, count, fan_out, used, space.activations[layer].get(), used,
                matrix, used, Real(1), values);
        if (layer + 1 < job.layers) activate(job, values, count * fan_out);
        space.inner[layer] = begin;
        begin += fan_in * fan_out + fan_out;
    }
}

// Gradient of the mean over samples and outputs of the squared error, calculated in Wide.
template <typename Wide, typename Real>
void squared_error_gradient(const Real* outputs, const Real* targets, int64_t samples,
                            int64_t width, Real* delta) {
    const Wide factor = Wide(2) / static_cast<Wide>(samples * width);
#pragma omp simd
    for (int64_t i = 0; i < samples * width; ++i)
        delta[i] = static_cast<Real>(
            (static_cast<Wide>(outputs[i]) - static_cast<Wide>(targets[i])) * factor);
}

// Gradient of the mean over samples of the cross-entropy: softmax minus the true class, calculated
// in Wide.
template <typename Wide, typename Real>
void cross_entropy_gradient(const Real* outputs, const int64_t* classes, int64_t samples,
                            int64_t width, Real* delta) {
    std::vector<Wide> shares(width);
    for (int64_t i = 0; i < samples; ++i) {
        const Real* row = outputs + i * width;
        const Wide largest = static_cast<Wide>(*std::max_element(row, row + width));
        Wide total = 0;
        for (int64_t j = 0; j < width; ++j)
            total += shares[j] = std::exp(static_cast<Wide>(row[j]) - largest);
        for (int64_t j = 0; j < width; ++j)
            delta[i * width + j] = static_cast<Real>((shares[j] / total - Wide(j == classes[i])) /
                                                     static_cast<Wide>(samples));
    }
}

template <typename Wide, typename Real>
void loss_gradient(const Job& job, int64_t count, Workspace<Real>& space) {
    const Real* outputs = space.activations[job.layers].get();
    const int64_t width = job.widths[job.layers];
    if (job.loss == MSE)
        squared_error_gradient<Wide>(outputs, space.targets[0].get(), count, width,
                                     space.delta[0].get());
    else
        cross_entropy_gradient<Wide>(outputs, space.classes.data(), count, width,
                                     space.delta[0].get());
}

template <typename Real>
void column_sums(const Real* values, int64_t rows, int64_t columns, Real* sums) {
    std::fill(sums, sums + columns, Real(0));
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) sums[j] += values[i * columns + j];
}

// The gradient of all parameters, from the loss gradient of the outputs in space.delta[0].
template <typename Real>
void backward(const Job& job, const Columns& columns, const Real* weights, int64_t count,
              Workspace<Real>& space) {
    Real *delta = space.delta[0].get(), *below = space.delta[1].get();
    for (int64_t layer = job.layers - 1; layer >= 0; --layer) {
        const int64_t fan_in = job.widths[layer], fan_out = job.widths[layer + 1],
                      begin = space.inner[layer];
        const Real* values = space.activations[layer].get();
        Real* gradient = space.gradient.get() + begin;
        column_sums(delta, count, fan_out, gradient + fan_in * fan_out);
        if (layer == 0 && !columns.all()) {
            Real* packed = space.packed.get();
            product(job, true, false, fan_out, columns.width, count, delta, fan_out, values,
                    columns.width, Real(0), packed);
            columns.unpack(packed, fan_out, fan_in, gradient);
            break;
        }
        product(job, true, false, fan_out, fan_in, count, delta, fan_out, values, fan_in, Real(0),
                gradient);
        if (layer == 0) break;
        product(job, false, false, count, fan_in, fan_out, delta, fan_out, weights + begin, fan_in,
                Real(0), below);
        activate_backward(job, values, below, count * fan_in);
        std::swap(delta, below);
    }
}

// One step of one replica, whose batch lies in the workspace.
template <typename Real>
void take_step(const Job& job, const Columns& columns, int64_t step, int64_t replica, int64_t count,
               Workspace<Real>& space) {
    Real* weights = static_cast<Real*>(job.weights) + replica * job.parameters;
    Real* gradient = space.gradient.get();
    const int64_t all = job.parameters, first = first_tensor(job);
    forward(job, columns, weights, count, space);
    if (job.loss_in_double)
        loss_gradient<double>(job, count, space);
    else
        loss_gradient<Real>(job, count, space);
    backward(job, columns, weights, count, space);
    if (job.constraint == TANGENT) remove_radial(job, weights, gradient);
    if (job.clip > 0) clip(job, gradient);
    if (job.constraint == PUBLISHED)
        rescale<Real>(job, replica,
                      2 * dot(weights, weights, 0, first) + dot(weights, weights, first, all));
    const double of_first = adamw(job, step, replica, gradient, 0, first);
    const double of_others = adamw(job, step, replica, gradient, first, all);
    if (job.constraint != FREE && job.constraint != PUBLISHED)
        rescale<Real>(job, replica, of_first * (counts_first_twice(job) ? 2 : 1) + of_others);
}

// All steps of one replica.
template <typename Real>
void train_replica(const Job& job, int64_t replica, Workspace<Real>& space) {
    const int64_t* places = job.train + replica * job.train_width;
    const Columns columns = live_columns(job, replica);
    Real* batch = space.activations[0].get();
    if (!job.positions) {
        gather_inputs(job, replica, columns, places, nullptr, job.counts[replica], batch);
        gather_targets(job, replica, places, nullptr, job.counts[replica], space);
    }
    for (int64_t step = 0; step < job.steps; ++step) {
        const int64_t row = step * job.replicas + replica;
        const int64_t count = job.counts[job.positions ? row : replica];
        if (job.positions) {
            gather_inputs(job, replica, columns, places, job.positions + row * job.batch, count,
                          batch);
            gather_targets(job, replica, places, job.positions + row * job.batch, count, space);
        }
        take_step(job, columns, step, replica, count, space);
    }
}

// Calls work(replica, workspace) for all replicas, one a thread. Returns 0, or 1 without memory for
// the workspaces.
template <typename Real, typename Work>
int for_replicas(const Job& job, int64_t samples, Work work) {
    const int threads = static_cast<int>(std::max<int64_t>(1, std::min(job.threads, job.replicas)));
    std::vector<Workspace<Real>> spaces;
    try {
        spaces.reserve(threads);
        for (int thread = 0; thread < threads; ++thread) spaces.emplace_back(job, samples);
    } catch (const std::bad_alloc&) {
        return 1;
    }
#pragma omp parallel num_threads(threads)
    {
        const FlushedDenormals flushed;
        const int before = job.set_threads(1);
#pragma omp for schedule(dynamic, 1)
        for (int64_t replica = 0; replica < job.replicas; ++replica)
            work(replica, spaces[omp_get_thread_num()]);
        job.set_threads(before);
    }
    return 0;
}

template <typename Real>
int train_replicas(const Job& job) {
    return for_replicas<Real>(job, job.batch, [&](int64_t replica, Workspace<Real>& space) {
        train_replica(job, replica, space);
    });
}

// Outputs at the first counts[r] of each replica's `train` places, a few at a time so that they
// stay in cache.
template <typename Real>
int all_outputs(const Job& job) {
    constexpr int64_t AT_ONCE = 256;
    const Columns columns = all_columns(job);  // what is zero in training may not be in testing
    const int64_t width = job.widths[job.layers];
    return for_replicas<Real>(job, AT_ONCE, [&](int64_t replica, Workspace<Real>& space) {
        const Real* weights = static_cast<const Real*>(job.weights) + replica * job.parameters;
        const int64_t* places = job.train + replica * job.train_width;
        Real* outputs = static_cast<Real*>(job.outputs) + replica * job.batch * width;
        for (int64_t start = 0; start < job.counts[replica]; start += AT_ONCE) {
            const int64_t count = std::min(AT_ONCE, job.counts[replica] - start);
            gather_inputs(job, replica, columns, places + start, nullptr, count,
                          space.activations[0].get());
            forward(job, columns, weights, count, space);
            std::memcpy(outputs + start * width, space.activations[job.layers].get(),
                        count * width * sizeof(Real));
        }
    });
}

}  // namespace

extern "C" {

// The size of a Job, by which the caller checks that it describes the same fields.
int64_t job_bytes() { return sizeof(Job); }

// `steps` optimiser steps of every replica, in place. 0, or 1: not enough memory.
int train_float(const Job* job) { return train_replicas<float>(*job); }
int train_double(const Job* job) { return train_replicas<double>(*job); }

// The network's outputs at chosen samples. 0, or 1: not enough memory.
int outputs_float(const Job* job) { return all_outputs<float>(*job); }
int outputs_double(const Job* job) { return all_outputs<double>(*job); }

// tanh as the steps in float calculate it.
void tanh_float(const float* x, float* y, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = hyperbolic_tangent(x[i]);
}
}
