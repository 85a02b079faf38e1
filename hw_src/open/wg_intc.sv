// An interrupt controller with one level-sensitive input and the registers that pynq and Linux use of
// Xilinx's axi_intc, at the same offsets and with the same effect: pynq.Interrupt waits for lines of
// such a controller only. AXI4-Lite slave; unused registers read as zero.
module wg_intc #(
  parameter int unsigned AddrWidth = 16
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 intr_i,
  output logic                 irq_o,

  input  logic                 s_axil_awvalid_i,
  output logic                 s_axil_awready_o,
  input  logic [AddrWidth-1:0] s_axil_awaddr_i,
  input  logic                 s_axil_wvalid_i,
  output logic                 s_axil_wready_o,
  input  logic [31:0]          s_axil_wdata_i,
  input  logic [3:0]           s_axil_wstrb_i,
  output logic                 s_axil_bvalid_o,
  input  logic                 s_axil_bready_i,
  output logic [1:0]           s_axil_bresp_o,
  input  logic                 s_axil_arvalid_i,
  output logic                 s_axil_arready_o,
  input  logic [AddrWidth-1:0] s_axil_araddr_i,
  output logic                 s_axil_rvalid_o,
  input  logic                 s_axil_rready_i,
  output logic [31:0]          s_axil_rdata_o,
  output logic [1:0]           s_axil_rresp_o
);
  // Status, pending, enable, acknowledge; set and clear enable; vector; master enable. Word offsets.
  localparam logic [AddrWidth-3:0] Isr = 0, Ipr = 1, Ier = 2, Iar = 3, Sie = 4, Cie = 5, Ivr = 6,
                                   Mer = 7;

  logic status_q, enable_q, pending, write, read;
  logic [1:0] master_q, data;
  logic [31:0] word;

  assign pending = status_q && enable_q;
  assign data    = s_axil_wdata_i[1:0];

  // A write is taken when all of it is there.
  assign write            = s_axil_awvalid_i && s_axil_wvalid_i && !s_axil_bvalid_o;
  assign s_axil_awready_o = write;
  assign s_axil_wready_o  = write;
  assign s_axil_bresp_o   = '0;

  always_ff @(posedge clk_i) begin
    irq_o <= pending && master_q == 2'b11 && rst_ni;
    if (!rst_ni) begin
      s_axil_bvalid_o <= 1'b0;
      status_q        <= 1'b0;
      enable_q        <= 1'b0;
      master_q        <= '0;
    end else begin
      s_axil_bvalid_o <= write || (s_axil_bvalid_o && !s_axil_bready_i);
      // An input that is high is held until it is acknowledged, and longer if it stays high.
      status_q <= status_q || intr_i;
      if (write && s_axil_wstrb_i[0]) begin
        unique case (s_axil_awaddr_i[AddrWidth-1:2])
          Isr: status_q <= data[0] || intr_i;
          Iar: status_q <= (status_q && !data[0]) || intr_i;
          Ier: enable_q <= data[0];
          Sie: enable_q <= enable_q || data[0];
          Cie: enable_q <= enable_q && !data[0];
          Mer: master_q <= data;
          default: ;
        endcase
      end
    end
  end

  assign read             = s_axil_arvalid_i && s_axil_arready_o;
  assign s_axil_arready_o = !s_axil_rvalid_o;
  assign s_axil_rresp_o   = '0;

  always_comb begin
    unique case (s_axil_araddr_i[AddrWidth-1:2])
      Isr: word = {31'b0, status_q};
      Ipr: word = {31'b0, pending};
      Ier: word = {31'b0, enable_q};
      Ivr: word = pending ? '0 : '1;  // the number of the input, or none
      Mer: word = {30'b0, master_q};
      default: word = '0;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (read) s_axil_rdata_o <= word;
    if (!rst_ni) s_axil_rvalid_o <= 1'b0;
    else s_axil_rvalid_o <= read || (s_axil_rvalid_o && !s_axil_rready_i);
  end

  logic unused;  // registers are written whole, and have two bits at most
  assign unused = ^{s_axil_awaddr_i[1:0], s_axil_araddr_i[1:0], s_axil_wdata_i[31:2],
                    s_axil_wstrb_i[3:1]};
endmodule
